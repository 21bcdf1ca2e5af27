"""Answers, wherever they are made: every command, route and engine asks a `Service`."""
