"""Answers questions from a user's own documents and streams each answer with its sources."""

from streamrag_cli.telemetry import disable_telemetry

__version__ = "0.1.0"

disable_telemetry()
