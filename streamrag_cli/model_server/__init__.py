"""Clients for servers that implement the OpenAI protocol: endpoints, requests, retries and errors."""
