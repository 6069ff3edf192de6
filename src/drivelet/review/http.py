"""HTTP/1.1 for a few browsers, on the standard library alone: bounded in all that a client can send or withhold.

One thread waits for every client at once; only a whole request gets one of the few workers. A client that sends or
reads slowly costs a socket, and where the sockets are used up, the client that has kept one waiting longest loses it.
"""

import asyncio
import socket
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from drivelet.review.request import MOST_HEAD, Refused, Reply, Request, header_lines, line_of, parse

MOST_CLIENTS = 400
MOST_WORKERS = 16
BACKLOG = 1024
IDLE_S, SEND_S, READ_S, LINGER_S = 120.0, 10.0, 30.0, 1.0
"""Longest waits: for a next request, for the rest of one that has begun, for a client to take a reply, and to go."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on the first address of this machine that `host` stands for.

    Raises:
        OSError: there is none, or the port is in use.
    """
    failed: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            return socket.create_server(address, family=family, backlog=BACKLOG)
        except OSError as error:
            failed = failed or error
    raise failed or OSError(f"{host} has no address")


class Server:
    """Answers requests on a listening socket until `shutdown`.

    Args:
        admit: raises Refused where a request is not to be heard; called before its body is read.
        answer: answers a whole request, on a worker's thread.
        refuse: words a refusal.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        admit: Callable[[Request], None],
        answer: Callable[[Request], Reply],
        refuse: Callable[[Refused], Reply],
    ) -> None:
        self._listener, self._admit, self._answer, self._refuse = listener, admit, answer, refuse
        self._stop: Future[None] = Future()
        self._clients: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """Clients that owe a request, longest first."""

    def serve_forever(self) -> None:
        """Answer until `shutdown` is called, from another thread or a signal handler."""
        asyncio.run(self._serve())

    def shutdown(self) -> None:
        """End `serve_forever`."""
        if not self._stop.done():
            self._stop.set_result(None)

    async def _serve(self) -> None:
        self._workers = ThreadPoolExecutor(MOST_WORKERS)
        server = await asyncio.start_server(self._client, sock=self._listener, limit=MOST_HEAD, backlog=BACKLOG)
        try:
            await asyncio.wrap_future(self._stop)
        finally:
            server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            self._workers.shutdown(wait=False, cancel_futures=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        writer.transport.set_write_buffer_limits(high=0)  # a reply is written when the client has taken it
        try:
            self._make_room()
            self._clients.add(client)
            while await self._exchange(client, reader, writer):
                pass
        except Refused as refusal:
            with suppress(OSError, asyncio.CancelledError):
                await _write(writer, self._refuse(refusal), goes_on=False)
                await _linger(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(client)
            self._waiting.pop(client, None)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def _make_room(self) -> None:
        """Send the client away that has owed a request longest, if there are too many."""
        if len(self._clients) < MOST_CLIENTS:
            return
        if not self._waiting:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients; try again")
        longest = next(iter(self._waiting))
        del self._waiting[longest]
        self._clients.discard(longest)
        longest.cancel()

    async def _exchange(
        self, client: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the client may send another."""
        self._waiting[client] = None
        async with asyncio.timeout(IDLE_S):
            start = await reader.readexactly(1)
        try:
            async with asyncio.timeout(SEND_S):
                request = await self._whole(start, reader, writer)
        except TimeoutError as error:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly") from error
        self._waiting.pop(client, None)
        reply = await asyncio.get_running_loop().run_in_executor(self._workers, self._safely, request)
        await _write(writer, reply, goes_on=request.goes_on, bare=request.method == "HEAD")
        return request.goes_on

    async def _whole(self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        """Read a request that begins with `start`; its body only where the head is admitted."""
        first = start + await line_of(reader, HTTPStatus.REQUEST_URI_TOO_LONG)
        head = parse(first, await header_lines(reader))
        self._admit(head)
        if head.length and head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return replace(head, body=await reader.readexactly(head.length))

    def _safely(self, request: Request) -> Reply:
        """A fault of ours ends no client: it is printed for the person who serves, and told in a line."""
        try:
            return self._answer(request)
        except Refused as refusal:
            return self._refuse(refusal)
        except Exception as error:
            traceback.print_exc()
            return self._refuse(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault of drivelet: {error}"))


async def _write(writer: asyncio.StreamWriter, reply: Reply, *, goes_on: bool, bare: bool = False) -> None:
    headers = {
        **reply.headers, "Content-Length": str(len(reply.body)), "Connection": "keep-alive" if goes_on else "close",
    }  # fmt: skip
    head = f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(head.encode("latin-1") + b"\r\n" + (b"" if bare else reply.body))
    async with asyncio.timeout(READ_S):
        await writer.drain()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let a client that is still sending read why it is refused: closing at once would destroy the reply on its way."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await reader.read(MOST_HEAD):
            pass
