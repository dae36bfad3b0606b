"""What touches the machine: serial port, CAN, files, clock, watchdog; each a protocol, a real and a fake form."""
