"""Serve a folder on this machine the way a static host does: gzip, a sub-path, its own 404 page."""

from __future__ import annotations

import contextlib
import gzip
import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "/gradcheck/"


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = Path(self.directory, path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if file and file.is_dir():
            file /= "index.html"
        found = file is not None and file.is_file()
        if not found:
            file = Path(self.directory, "404.html")
        body = compressed(file)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the browser may leave early
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@cache
def compressed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes())


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the folder under a sub-path; give the address, which ends in a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()
        thread.join()
