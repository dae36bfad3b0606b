"""What touches the machine: serial port, CAN, files, clock, watchdog; each a small protocol with a real form."""
