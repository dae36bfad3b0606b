"""A TinyBMS s516 battery as a first-class battery of a Victron Energy system."""

__version__ = "0.2.0"
