"""Stores of chunks and their vectors: a backend for local directories and one for PostgreSQL."""
