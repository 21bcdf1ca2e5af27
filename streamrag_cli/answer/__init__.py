"""Answers a question from its sources, with a chat model or with quotes, as one stream of events."""
