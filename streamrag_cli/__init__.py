"""Ask your documents from the terminal; the answer starts at once, with its sources."""

__version__ = "0.1.0"
