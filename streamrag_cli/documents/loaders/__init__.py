"""The loaders, one module per format: bytes or text in, a `Document` out. None opens a file, socket or process."""
