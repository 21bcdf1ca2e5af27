"""What holds for every test."""

import signal

# A shell that runs the tests in the background has Ctrl-C ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
