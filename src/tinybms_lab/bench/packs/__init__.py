"""The closed loop with several packs in parallel: their network, what decides for all of them, and what has to hold."""
