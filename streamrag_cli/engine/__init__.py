"""The background engine: keeps imports, stores and connections loaded, and answers over a Unix socket."""
