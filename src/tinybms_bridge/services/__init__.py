"""Everything that only watches: one room per service, none on the path from UART to CAN."""
