"""``tinybms-bridge doctor``: a look at configuration, machine, ports, BMS and bus, and what it makes of them in words.

``command`` asks ``port``, ``bms``, ``machine`` and ``can`` in the order in which a user would solve what they find;
``verdicts`` judges what was read from the BMS; each tells ``findings``.
"""

from tinybms_bridge.cli.doctor.command import doctor_command

__all__ = ["doctor_command"]
