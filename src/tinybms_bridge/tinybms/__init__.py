"""The device: register catalogue, frame codec, client, poller and a byte-accurate simulator of a TinyBMS s516."""
