"""A static web server, for tests that do not need `streamrag serve`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.chromium import STATIC


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Do not log requests."""


@contextmanager
def static_site(folder: Path = STATIC.parent) -> Iterator[str]:
    """Serve the folder on a free port; yields the address. The default folder contains `static/`."""

    def handler(*arguments: object) -> _Quiet:
        return _Quiet(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="static-site")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
