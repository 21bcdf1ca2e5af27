"""Clients for servers that speak the OpenAI protocol: endpoints, requests, retries and errors."""
