"""The ingest pipeline: syncs a collection with the files under some paths, and reports progress as events."""
