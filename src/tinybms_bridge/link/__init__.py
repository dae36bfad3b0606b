"""What core and services say to each other: state, events and commands as typed messages."""
