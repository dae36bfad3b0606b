"""The device: registers, frames, client, poller, settings and event log of a TinyBMS s516."""
