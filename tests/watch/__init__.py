"""Tests for the watcher."""
