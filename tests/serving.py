"""A local HTTP server that misbehaves on request, and that can look like the Hugging Face hub."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

HUB = "datasets/open-retina/open-retina"


class Server(ThreadingHTTPServer):
    """Serves `files` by path, misbehaving as `script` says, download by download, and then as it should.

    `asked` is the path of every request, `starts` the first byte that each download asked for.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.script, self.asked, self.starts = files, [], [], []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.linked_sha256 = {}  # what the hub says, where it is not the truth
        self.headers = {}  # added to every file's
        self.listed = {}  # what the hub lists besides `files`

    def handle_error(self, *args: object) -> None:
        pass  # clients that hang up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._send(200, b"", 0)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.server.asked.append(path)
        if path.startswith(f"api/{HUB}/tree/main/"):
            self._list(path.removeprefix(f"api/{HUB}/tree/main/"))
        elif path.startswith(f"{HUB}/resolve/main/"):
            self._redirect(path.removeprefix(f"{HUB}/resolve/main/"))
        else:
            self._file(path)

    def _file(self, path: str) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)
        content = self.server.files.get(path)
        fault = self.server.script.pop(0) if self.server.script else ""
        if content is None:
            self.send_error(404)
        elif isinstance(fault, int):
            self.send_error(fault)
        elif start >= len(content):
            self.send_error(416)
        elif fault == "refuses to resume":
            self._send(200, content, len(content))
        elif isinstance(fault, tuple):  # status, body and headers of its own
            self._send(fault[0], fault[1], None, fault[2])
        elif fault == "drips":
            self._send(200, b"", len(content))
            with suppress(OSError):  # the client hangs up
                for number in range(len(content)):
                    self.wfile.write(content[number : number + 1])
                    time.sleep(0.02)
        else:
            body = content[start:]
            said = len(body) + 5 if fault == "lies about the size" else len(body)
            sent = body[: len(body) // 2] if fault in ("breaks off", "breaks off, size unsaid") else body
            part = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            headers = part | self.server.headers
            self._send(206 if start else 200, sent, None if fault.endswith("unsaid") else said, headers)

    def _redirect(self, path: str) -> None:
        """As the hub does it for large files: to where they are, with their size and SHA-256."""
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        digest = self.server.linked_sha256.get(path, hashlib.sha256(content).hexdigest())
        headers = {"Location": f"/{path}", "X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"'}
        self._send(302, b"", 0, headers)

    def _list(self, folder: str) -> None:
        listed = self.server.files | self.server.listed
        inside = {path: content for path, content in listed.items() if path.startswith(f"{folder}/")}
        if not inside:
            self._send(404, b"{}", 2, {"X-Error-Code": "EntryNotFound"})
            return
        entries = [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}]
        for path, content in inside.items():
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            entries.append({"type": "file", "path": path, "oid": "0" * 40, "size": len(content), "lfs": lfs})
        body = json.dumps(entries).encode()
        self._send(200, body, len(body), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, size: int | None, headers: dict[str, str] = {}) -> None:  # noqa: B006
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if size is not None:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
