"""Keeps a collection in sync with its files: waits for changes, and ingests them in batches."""
