"""The page's server.

Another web page must not post decisions: every address begins with a random token that only the printed link holds, the
page tells no one where it came from (`Referrer-Policy`), and a name that is not this machine's is not answered (DNS
rebinding). By default only this machine is answered.
"""

import errno
import json
import re
import secrets
import signal
import socket
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import parse_qs

from drivelet.core.errors import InputError
from drivelet.review.api import decide, items, start, undo
from drivelet.review.desk import Desk
from drivelet.review.frames import FrameStore, ReadFrames
from drivelet.review.http import Refused, Reply, Request, Server, listen

FRAME = re.compile(r"frame/([0-9]{1,9})/([0-9]{1,9})/([0-9]{1,9})\.jpg")
ENDS = (signal.SIGINT, signal.SIGTERM)
NO_PAGE = "no such page; open the link that `drivelet review` printed"


@cache
def page() -> bytes:
    """Return the page."""
    return files("drivelet.review").joinpath("page.html").read_bytes()


@cache
def headers() -> Mapping[str, str]:
    """Return the headers of every reply: the browser runs the page's own script and style, by their digests."""
    own = {tag: _digests(tag) for tag in ("script", "style")}
    return {
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
        f"script-src {own['script']}; style-src {own['style']}; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'",
    }


def _digests(tag: str) -> str:
    inner = re.findall(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), page(), re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for text in inner)


class ReviewServer:
    """Serves the page of one desk; `address` is the link to open.

    A wrong name of the machine gets 403, a wrong address or token 404, both before a body is read; a wrong decision
    gets 400, a fault 500, each with a line why.

    Raises:
        InputError: the port is in use, or the host is empty or none of this machine's.
    """

    def __init__(self, desk: Desk, read_frames: ReadFrames, *, host: str, port: int) -> None:
        host = host.strip().removeprefix("[").removesuffix("]")
        if not host:
            raise InputError("--host: empty; give an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all")
        try:
            self._listener = listen(host, port)
        except (OSError, UnicodeError) as error:
            raise InputError(_why_not(host, port, error)) from error
        self.desk, self._frames = desk, FrameStore(read_frames)
        self.token = secrets.token_urlsafe(16)
        self.server_port: int = self._listener.getsockname()[1]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/{self.token}/"
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        self._server = Server(self._listener, admit=self._admit, answer=self._answer, refuse=_refusal)
        self.serve_forever, self.shutdown = self._server.serve_forever, self._server.shutdown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _admit(self, request: Request) -> None:
        if not self._is_ours(request.headers.get("host", "localhost")):
            raise Refused(HTTPStatus.FORBIDDEN, "not this machine's name; open the link that `drivelet review` printed")
        path = self._inside(request)
        if request.method not in ("GET", "HEAD", "POST"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method[:40]}: only GET and POST")
        posts = path in ("api/decide", "api/undo")
        if path in ("", "api/start", "api/items") or posts or FRAME.fullmatch(path):
            if posts != (request.method == "POST"):
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path}: {'POST' if posts else 'GET'} it")
            return
        raise Refused(HTTPStatus.NOT_FOUND, NO_PAGE)

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header is an address or a name of this machine; an address is nobody's to point elsewhere."""
        name = re.sub(r":[0-9]*$", "", host).removeprefix("[").removesuffix("]").lower()
        try:
            ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _inside(self, request: Request) -> str:
        """Return the path behind the token.

        Raises:
            Refused: the token is wrong.
        """
        token, slash, rest = request.path[1:].partition("/")
        if not (slash and secrets.compare_digest(token, self.token)):
            raise Refused(HTTPStatus.NOT_FOUND, NO_PAGE)
        return rest

    def _answer(self, request: Request) -> Reply:
        path = self._inside(request)
        try:
            if path == "":
                return _reply(page(), "text/html; charset=utf-8")
            if path == "api/start":
                return _json(start(self.desk))
            if path == "api/items":
                return _json(items(self.desk, parse_qs(request.query)))
            if path == "api/decide":
                return _json(decide(self.desk, json.loads(request.body)))
            if path == "api/undo":
                return _json(undo(self.desk))
            return self._frame(*(int(part) for part in path.removesuffix(".jpg").split("/")[1:]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            kept = "no decision was kept" if request.method == "POST" else "no such items"
            raise Refused(HTTPStatus.BAD_REQUEST, f"{kept}: {error}") from error
        except OSError as error:
            raise Refused(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"{error.filename or ''}: {error.strerror or error}"
            ) from error

    def _frame(self, band: int, drive: int, frame: int) -> Reply:
        try:
            file, _ = self.desk.upcoming(band, drive, frame)
            picture = self._frames.jpeg(file, frame, lambda: self.desk.upcoming(band, drive, frame)[1])
        except (KeyError, IndexError) as error:
            raise Refused(HTTPStatus.NOT_FOUND, "no such frame in this queue") from error
        except (InputError, OSError) as error:
            raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
        if picture is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"frame {frame} is damaged")
        return _reply(picture, "image/jpeg", cache="private, max-age=86400, immutable")


def _why_not(host: str, port: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"--port {port}: in use on {host}; choose another, or 0 for any that is free"
    return f"--host {host} --port {port}: {getattr(error, 'strerror', None) or error}; choose others"


def _reply(body: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK, cache: str = "no-store") -> Reply:
    return Reply(body=body, status=status, headers={**headers(), "Content-Type": kind, "Cache-Control": cache})


def _json(value: Any, *, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return _reply(json.dumps(value, allow_nan=False).encode(), "application/json", status=status)


def _refusal(refused: Refused) -> Reply:
    return _json({"error": refused.why}, status=refused.status)


def serve(desk: Desk, read_frames: ReadFrames, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; the label table is written then.

    Raises:
        InputError: the port is in use, or the host is empty or none of this machine's.
    """
    with closing(desk), ReviewServer(desk, read_frames, host=host, port=port) as server:
        before = {number: signal.signal(number, lambda *_: server.shutdown()) for number in ENDS}
        try:
            announce(server.address)
            server.serve_forever()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
