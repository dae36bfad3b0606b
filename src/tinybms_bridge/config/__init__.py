"""Configuration: its sections, the check of a file, an atomic store, and readers for files of the ESP32 firmware."""
