"""What holds for every test."""

import atexit
import os
import signal
import tempfile

# A shell that runs the tests in the background has Ctrl-C ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test meets an engine of this machine's user. Below /tmp, since a socket's path must be short.
_RUNTIME = tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp")
atexit.register(_RUNTIME.cleanup)
os.environ["XDG_RUNTIME_DIR"] = _RUNTIME.name
