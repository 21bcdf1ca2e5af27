"""The ingest pipeline: files under some paths -> documents, chunks and vectors in a collection, said as events."""
