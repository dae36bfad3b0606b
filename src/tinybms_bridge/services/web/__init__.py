"""The web server: REST API, live WebSocket and pages.

Importing this package, ``options`` or ``service`` loads no web framework; ``app``, ``problems``, ``security`` and
``routes`` do and are imported after the first CAN frame.
"""

__all__: list[str] = []
