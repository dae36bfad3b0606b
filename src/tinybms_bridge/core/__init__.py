"""The process that may not fail: it reads the BMS, decides the limits and gives them to the GX."""
