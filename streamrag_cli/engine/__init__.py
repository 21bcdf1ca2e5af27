"""The background engine. It keeps modules loaded and stores and connections open, and answers over a Unix socket."""
