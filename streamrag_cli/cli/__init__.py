"""The command line: one file a command. Parse, wire up, drive, exit code."""
