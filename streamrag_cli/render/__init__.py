"""Renderers of events for terminals, pipes and JSON. They write to the streams that are passed to them."""
