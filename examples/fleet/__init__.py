"""Many bridges into three NATS nodes and on into VictoriaMetrics: docs/fleet.md tells how it is used.

``nodes`` writes the configuration of the NATS nodes, ``sites`` the credential of each site, ``stream`` makes the stream
and its durable consumer, and ``consumer`` takes messages from there into the database. Each is started as
``python -m fleet.NAME`` from the folder above, or ``python -m examples.fleet.NAME`` from a clone of the project.
"""
