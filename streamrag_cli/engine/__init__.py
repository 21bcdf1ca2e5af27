"""The background engine: keeps modules loaded, keeps stores and connections open, and answers over a Unix socket."""
