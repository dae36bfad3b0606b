"""The Victron CAN-bus BMS protocol: frames, their table, the transmitter, and who else is on the bus."""
