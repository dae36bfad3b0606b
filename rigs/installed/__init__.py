"""The Debian package in a Debian of its own with systemd as PID 1: ``make rig-installed``."""
