"""Answers questions with a chat model or with quotes from the sources. An answer is a stream of events."""
