"""The stream over HTTP: the same events as on the terminal, for browsers and programs."""
