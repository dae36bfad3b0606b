"""What tests need: clocks that they move, ports without hardware."""
