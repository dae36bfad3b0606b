"""The laboratory: a TinyBMS, a GX and a closed loop to play with; the product imports it only in its commands."""
