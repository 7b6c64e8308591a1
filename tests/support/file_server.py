"""A web server with faults that publishes weights, and a converter that makes little of them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flask_detector.detectors.reading import Reading
from flask_detector.detectors.zoo.conversion import Converter
from flask_detector.detectors.zoo.download import Patience
from flask_detector.errors import BadParameter, CheckpointError

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB


PATIENCE = Patience(timeout=0.5, pauses=(0.01, 0.01, 0.01))


Fault = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with the file of that name; ranges, If-Range and absolute addresses (as a proxy) included."""

    protocol_version = "HTTP/1.1"
    server: "FileServer"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault is not None:
            fault(self)
        else:
            self.send_file()

    def send_file(self, *, count: int | None = None, pause: float = 0.0) -> None:
        """Send the file, or only `count` bytes of what is due and then the end of the connection."""
        content = self.server.files.get(self.path.rsplit("/", 1)[-1])
        if content is None:
            self.send_error(404)
            return
        start = self.range_start()
        if start >= len(content) > 0 and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in self.server.identity.items():
            self.send_header(name, value)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if count is None else body[:count])
        if count is not None:
            self.wfile.flush()
            time.sleep(pause)
            self.close_connection = True

    def range_start(self) -> int:
        condition = self.headers.get("If-Range")
        wanted = self.headers.get("Range", "")
        if not self.server.ranges or not wanted or condition not in self.server.identity.values():
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:
        pass


class FileServer(ThreadingHTTPServer):
    """Publishes `files` by name; each request takes the next of `faults` first.

    identity: the headers that identify the present version of the files.
    seen: path and headers of each request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"weights.pth": WEIGHTS}
        self.faults: list[Fault | None] = []
        self.identity = {"ETag": '"one"'}
        self.ranges = True
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges_seen(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.seen]

    def handle_error(self, request: object, client_address: object) -> None:
        """Be quiet: clients of these tests go away in the middle."""


@dataclass
class Faults:
    """The faults that a request can meet."""

    @staticmethod
    def cut(count: int, *, pause: float = 0.0) -> Fault:
        """Send `count` bytes, wait, then end the connection."""
        return lambda handler: handler.send_file(count=count, pause=pause)

    @staticmethod
    def answer(status: int, **headers: str) -> Fault:
        """Answer with a status and no file."""

        def send(handler: Handler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return send

    @staticmethod
    def of_unknown_size() -> Fault:
        """Send the file without its size; it ends with the connection."""

        def send(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(handler.server.files[handler.path.rsplit("/", 1)[-1]])

        return send


@dataclass
class StandInConverter:
    """Makes one small file of a checkpoint; counts its calls. Refuses files that begin with `bad`.

    labels: the classes of the checkpoint; none are told of COCO's.
    """

    version: int = 1
    calls: list[str | None] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    labels: tuple[str, ...] = ()
    check: Callable[[Path], None] = lambda _: None

    def __call__(self) -> Converter:
        return Converter(self.version, self._convert, check=self.check)

    def _convert(
        self,
        checkpoint: Path,
        folder: Path,
        *,
        variant: str | None,
        labels: Sequence[str],
        options: Mapping[str, Any],
        on_progress: Callable[[float], None],
    ) -> Reading:
        self.calls.append(variant)
        if variant == "unheard-of":
            raise BadParameter("There is no variant 'unheard-of'.")
        (folder / "half").write_text("half")
        on_progress(0.5)
        self.before()
        if checkpoint.read_bytes().startswith(b"bad"):
            raise CheckpointError(f"{checkpoint.name} is no checkpoint.")
        (folder / "half").rename(folder / "graph")
        names = tuple(labels) or self.labels
        if names:
            (folder / "manifest.json").write_text(json.dumps({"labels": names}))
        on_progress(1.0)
        note = "The class names are those given." if labels else "They are numbered."
        return Reading("mask-rcnn", variant or "mmdet-caffe", "Mask R-CNN, tested", names, options, (note,))


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files in a folder, from there on."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
