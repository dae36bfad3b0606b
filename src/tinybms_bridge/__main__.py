"""Run the command line with ``python -m tinybms_bridge``."""

from tinybms_bridge.cli import main

main()
