"""What the tests share: servers, terminals, stores, inputs. No tests, and no fixtures."""
