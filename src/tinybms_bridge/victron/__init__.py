"""What a GX understands: the frames of a battery on CAN, their transmitter, and the presence of a GX."""
