"""The HTTP server: the same events as on the terminal, for browsers and programs."""
