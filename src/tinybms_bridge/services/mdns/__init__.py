"""``tinybms-bridge.local``: the web server is found by name in the local network, with Avahi or without (RFC 6762).

zeroconf reads and writes the packets; it is imported where something is announced. Who answers what is decided here:
its own responder takes a host name without asking, does not defend it, does not notice that another machine has it,
and tells every network the addresses of all others.
"""
