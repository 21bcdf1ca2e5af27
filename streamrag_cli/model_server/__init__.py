"""Servers that speak the OpenAI protocol: where one is, how it is asked, and what it means when it fails."""
