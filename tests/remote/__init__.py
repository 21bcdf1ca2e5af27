"""Tests of `streamrag_cli/remote`: addresses, copies and sources."""
