"""Puts processes together: which parts run, from configuration and command line."""
