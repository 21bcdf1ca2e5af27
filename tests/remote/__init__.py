"""Tests for `streamrag_cli/remote`: addresses, copies and sources."""
