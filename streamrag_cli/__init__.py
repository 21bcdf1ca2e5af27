"""Ask your documents from the terminal; the answer starts at once, with its sources."""

from streamrag_cli.telemetry import disable_telemetry

__version__ = "0.1.0"

disable_telemetry()
