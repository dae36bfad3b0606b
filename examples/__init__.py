"""Ready-made things beside the product: nothing here is part of the package."""
