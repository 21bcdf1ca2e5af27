"""One module a format: bytes or text in, a `Document` out. None opens a file, a socket or a process."""
