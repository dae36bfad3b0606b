"""The other side: Victron CAN-bus BMS frames, their transmitter, presence of the GX, and a simulated GX."""
