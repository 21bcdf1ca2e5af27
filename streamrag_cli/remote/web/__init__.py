"""Fetches web pages for an ingest: one page, or all pages below an address.

`crawl.fetch_pages` is the entry point. Nothing here writes files or accesses the store.
"""
