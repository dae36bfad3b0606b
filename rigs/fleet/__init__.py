"""A fleet of simulated bridges into three NATS nodes, a consumer and VictoriaMetrics: ``make rig-fleet``."""
