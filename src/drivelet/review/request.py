"""One request of HTTP/1.1 as a client sends it, line by line, each of a bounded length."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MOST_HEAD = 16384
MOST_BODY = 65536


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; header names are lower case, `path` and `query` as sent, `goes_on` where another may follow."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    goes_on: bool
    body: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of the body that is announced.

        Raises:
            Refused: none is announced where one belongs, or one that is not to be had.
        """
        said = self.headers.get("content-length", "")
        if "transfer-encoding" in self.headers or (self.method == "POST" and not said):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "send the body whole, with its Content-Length")
        if said and not (said.isascii() and said.isdecimal()):
            raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
        if len(said.lstrip("0")) > len(str(MOST_BODY)) or int(said or 0) > MOST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BODY} bytes")
        return int(said or 0)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refused(Exception):
    """A request that is answered with an error status and a line why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


async def line_of(reader: asyncio.StreamReader, too_long: HTTPStatus) -> bytes:
    """Return a line without its end.

    Raises:
        EOFError: the client has gone.
        Refused: it is too long.
    """
    try:
        line = await reader.readline()
    except ValueError as error:
        raise Refused(too_long, f"a line has at most {MOST_HEAD} bytes") from error
    if not line.endswith(b"\n"):
        raise EOFError
    return line.rstrip(b"\r\n")


async def header_lines(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the lines up to the empty one.

    Raises:
        EOFError: the client has gone.
        Refused: there are too many.
    """
    lines: list[bytes] = []
    while line := await line_of(reader, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE):
        lines.append(line)
        if sum(map(len, lines)) > MOST_HEAD or len(lines) > 100:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"headers have at most {MOST_HEAD} bytes")
    return lines


def parse(first: bytes, lines: list[bytes]) -> Request:
    """Return the head of a request.

    Raises:
        Refused: it is none of HTTP/1.
    """
    method, _, rest = first.decode("latin-1").partition(" ")
    target, _, version = rest.rpartition(" ")
    if not (method.isascii() and method.isalpha() and version in ("HTTP/1.0", "HTTP/1.1")):
        raise Refused(HTTPStatus.BAD_REQUEST, "no request of HTTP/1.1")
    if not target.startswith("/") or not target.isascii() or not target.isprintable() or " " in target:
        raise Refused(HTTPStatus.BAD_REQUEST, "no address of this server")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        name, value = name.lower(), value.strip()
        if not colon or not name or name != name.strip():
            raise Refused(HTTPStatus.BAD_REQUEST, f"no header: {name[:40]!r}")
        if headers.setdefault(name, value) != value and name in ("host", "content-length", "transfer-encoding"):
            raise Refused(HTTPStatus.BAD_REQUEST, f"two different {name}")
    if version == "HTTP/1.1" and "host" not in headers:
        raise Refused(HTTPStatus.BAD_REQUEST, "no Host")
    path, _, query = target.partition("?")
    goes_on = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method=method, path=path, query=query, headers=headers, goes_on=goes_on)
