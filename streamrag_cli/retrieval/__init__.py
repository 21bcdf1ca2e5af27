"""Retrieval: embedders, hybrid search, and the scores of hits."""
