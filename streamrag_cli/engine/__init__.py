"""A process that stays warm: it holds the imports, the stores and the connections, and answers over a Unix socket."""
