"""Turns sources into an answer, from a chat model or as quotes, with citations, as one stream of events."""
