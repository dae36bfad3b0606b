"""A simulated GX: DVCC, chargers, loads."""
