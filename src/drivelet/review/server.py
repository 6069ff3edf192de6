"""The page's server, on the standard library alone.

Another web page must not post decisions: every address begins with a random token that only the printed link holds, and
the page tells no one where it came from (`Referrer-Policy`). By default only this machine is answered.
"""

import errno
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from drivelet.core.errors import InputError
from drivelet.review.decisions import SKIPPED
from drivelet.review.desk import Desk
from drivelet.review.frames import FrameStore, ReadFrames

MOST_ITEMS = 100
MOST_BYTES = 65536
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
}
FRAME = re.compile(r"frame/(\d+)/(\d+)/(\d+)\.jpg")


class ReviewServer(ThreadingHTTPServer):
    """Serves the page of one desk; `address` is the link to open."""

    daemon_threads = True

    def __init__(self, desk: Desk, read_frames: ReadFrames, *, host: str, port: int) -> None:
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise InputError(_why_not(host, port, error)) from error
        self.desk, self.frames = desk, FrameStore(read_frames)
        self.token = secrets.token_urlsafe(16)
        self.address = f"http://{host}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed in the middle of a picture is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: in use on {host}; choose another, or 0 for any that is free"
    return f"--host {host} --port {port}: {error.strerror or error}; choose others"


class _Handler(BaseHTTPRequestHandler):
    """One connection; a wrong address or token gets 404, a wrong decision 400, a fault 500, each with a line why."""

    protocol_version = "HTTP/1.1"
    server_version = "drivelet"
    # Without it the header and the body of an answer wait for each other's acknowledgement: 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _reviews(self) -> ReviewServer:
        return cast("ReviewServer", self.server)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of single requests."""

    def do_GET(self) -> None:
        """Answer with the page, its start, items, or a frame."""
        url = urlsplit(self.path)
        path = self._inside(url.path)
        frame = FRAME.fullmatch(path or "")
        if path == "":
            self._send(files("drivelet.review").joinpath("page.html").read_bytes(), "text/html; charset=utf-8")
        elif path == "api/start":
            self._json(start(self._reviews.desk))
        elif path == "api/items":
            self._json(items(self._reviews.desk, parse_qs(url.query)))
        elif frame:
            self._frame(*(int(part) for part in frame.groups()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "no such page; open the link that `drivelet review` printed")

    def do_POST(self) -> None:
        """Take a decision or an undo."""
        path = self._inside(urlsplit(self.path).path)
        try:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST_BYTES))
            if path == "api/decide":
                self._json(decide(self._reviews.desk, json.loads(body)))
            elif path == "api/undo":
                self._json(undo(self._reviews.desk))
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "no such page; open the link that `drivelet review` printed")
        except (KeyError, TypeError, ValueError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"no decision was kept: {error}")
        except OSError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error.filename or ''}: {error.strerror or error}")

    def _inside(self, path: str) -> str | None:
        """Return the path behind the token, None where the token is wrong."""
        _, _, rest = path.partition("/")
        token, slash, rest = rest.partition("/")
        right = secrets.compare_digest(token.encode(), self._reviews.token.encode())
        return rest if slash and right else None

    def _frame(self, band: int, drive: int, frame: int) -> None:
        desk = self._reviews.desk
        try:
            file, _ = desk.upcoming(band, drive, frame)
            picture = self._reviews.frames.jpeg(file, frame, lambda: desk.upcoming(band, drive, frame)[1])
        except (KeyError, IndexError):
            self._refuse(HTTPStatus.NOT_FOUND, "no such frame in this queue")
        except (InputError, OSError) as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
        else:
            if picture is None:
                self._refuse(HTTPStatus.NOT_FOUND, f"frame {frame} is damaged")
            else:
                self._send(picture, "image/jpeg", cache="private, max-age=86400, immutable")

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(json.dumps({"error": why}).encode(), "application/json", status=status)

    def _send(self, body: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK, cache: str = "no-store") -> None:
        self.send_response(status)
        headers = {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": cache}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def serve(desk: Desk, read_frames: ReadFrames, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; the label table is written then.

    Raises:
        InputError: the port is in use, or the host is none of this machine's.
    """
    with closing(desk), ReviewServer(desk, read_frames, host=host, port=port) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        announce(server.address)
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.1)


def start(desk: Desk) -> dict[str, Any]:
    """Return what the page needs once: whose review it is, of what, and where to begin."""
    return {"folder": os.fspath(desk.folder), "reviewer": desk.reviewer, "number": desk.resume(), **desk.progress()}


def items(desk: Desk, query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return consecutive items: `from` and `count` of the query, at most 100."""
    first, count = (int(value) if (value := query.get(name, ["0"])[0]).isdecimal() else 0 for name in ("from", "count"))
    numbers = range(min(first, len(desk.queue)), min(first + min(count, MOST_ITEMS), len(desk.queue)))
    return {"items": [desk.describe(number) for number in numbers]}


def decide(desk: Desk, body: Mapping[str, Any]) -> dict[str, Any]:
    """Keep one decision (`number`, `review`, `answer`) and return the item as it now is, progress and what comes next.

    Raises:
        KeyError, TypeError, ValueError: no such item or verdict.
    """
    number = body["number"]
    if not isinstance(number, int):
        raise TypeError(f"{number!r} is no item's number")
    desk.decide(number, str(body["review"]), str(body.get("answer") or ""))
    return {"item": desk.describe(number), "next": desk.next_open(number), **desk.progress()}


def undo(desk: Desk) -> dict[str, Any]:
    """Take back the last decision and return its item; `number` is null where this queue does not show it."""
    taken = desk.undo()
    if taken is None:
        return {"undone": None, "number": None, "item": None, **desk.progress()}
    decision, number = taken
    undone = {"drive": decision.drive, "frame": decision.frame, "task": decision.task, "review": decision.review}
    item = None if number is None else desk.describe(number)
    return {"undone": undone, "number": number, "item": item, "skipped": decision.review == SKIPPED, **desk.progress()}
