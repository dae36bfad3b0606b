"""Tests against real counterparts that are too large for every run: each is a module to start by hand."""
