"""The battery domain: snapshots, plausibility, freshness, limits, alarms, energy. Pure functions and values, no I/O."""
