"""Fetches documents that are not files on this machine, and keeps copies of them, which are ingested like files.

- `address.py` checks and normalises the addresses that users type.
- `copies.py` is the folder with the copies.
- `sources.py` finds the documents at addresses, as `documents/discover.py` finds the files in folders. One module per
  kind of source fetches them: `git.py`, `piped.py`, `web/`.

Only `ingest` uses this package. Nothing is fetched while questions are answered.
"""
