"""The loaders, one module per format. Each turns bytes or text into a `Document`, without opening files or sockets."""
