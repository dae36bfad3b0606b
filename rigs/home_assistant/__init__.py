"""The battery in a real Home Assistant: ``make rig-home-assistant``."""
