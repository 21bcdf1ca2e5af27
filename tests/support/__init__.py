"""Shared test helpers: servers, terminals, stores, inputs. Contains no tests and no fixtures."""
