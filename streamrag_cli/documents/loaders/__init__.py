"""The loaders, with a main module for each format. They turn bytes or text into a `Document` and open no files."""
