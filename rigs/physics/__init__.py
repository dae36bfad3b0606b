"""The single-particle cells of the bench against PyBaMM, and the engine against a pack of them."""
