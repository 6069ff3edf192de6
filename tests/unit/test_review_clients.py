"""The page's server against clients that are many, slow, rude or not meant: every one is answered, none in the way."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli_calls import refused
from drivelet.core.errors import InputError
from drivelet.drives.frames import frames_at
from drivelet.review import http
from drivelet.review.server import ReviewServer
from review_folders import desk, labelled, lines, served

MANY = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    with served(labelled(tmp_path_factory.mktemp("l") / "l")) as (_, server):
        yield server


def connect(server: ReviewServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=30)


def get(server: ReviewServer, path: str = "api/start", **headers: str) -> bytes:
    """The bytes of a good request; `headers` are added or take the place of its own."""
    return request("GET", f"/{server.token}/{path}", **headers)


def request(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    told = {"Host": "127.0.0.1", "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def ask(server: ReviewServer, *parts: bytes) -> tuple[int, bytes]:
    """Send bytes and read to the end; return status and body."""
    with connect(server) as client:
        for part in parts:
            client.sendall(part)
        return reply(client)


def reply(client: socket.socket) -> tuple[int, bytes]:
    content = b""
    while part := client.recv(65536):
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if head else (0, b"")


def error(body: bytes) -> str:
    return json.loads(body)["error"]


def test_two_hundred_clients_at_once_are_all_answered(server: ReviewServer) -> None:
    (item,) = httpx.get(f"{server.address}api/items?from=0&count=1", trust_env=False).json()["items"]
    picture = f"frame/{item['band']}/{item['place']}/{item['frame']}.jpg"
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(MANY)]
        for number, client in enumerate(clients):
            client.sendall(get(server, ["", "api/start", "api/items?from=0&count=9", picture][number % 4]))
        assert [reply(client)[0] for client in clients] == [200] * MANY


def test_threads_stay_few_whatever_the_clients_do(server: ReviewServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(MANY)]
        for client in clients:
            client.sendall(get(server, Connection="keep-alive"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert threading.active_count() < http.MOST_WORKERS + 12
        assert ask(server, get(server))[0] == 200


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET /", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_slow_clients_are_not_in_the_way_of_others(server: ReviewServer, beginning: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(http.MOST_CLIENTS + 50)]
        for client in slow:
            client.sendall(beginning)
        for _ in range(20):
            assert ask(server, get(server))[0] == 200


def test_a_request_that_comes_too_slowly_and_an_idle_client_are_sent_away(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SEND_S", 0.2)
    monkeypatch.setattr(http, "IDLE_S", 0.2)
    post = request("POST", f"/{server.token}/api/decide", b"{", Content_Length="9")
    for part in (b"G", b"GET / HTTP/1.1\r\nHost", post):
        status, body = ask(server, part)
        assert (status, error(body)) == (408, "the request came too slowly")
    assert ask(server, b"") == (0, b"")


def test_a_client_that_reads_nothing_is_let_go(server: ReviewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_S", 0.2)
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        with pytest.raises(OSError):
            for number in range(3000):
                client.sendall(get(server, "", Connection="keep-alive"))
                time.sleep(0.02 if number > 2000 else 0)
    assert ask(server, get(server))[0] == 200


TARGET = "/TOKEN/api/start"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 404),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 404),
        (b"GET //[ HTTP/1.1\r\nHost: a\r\n\r\n", 403),
        (b"GET //[ HTTP/1.1\r\nHost: [::1]:8020\r\n\r\n", 404),
        (b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET " + b"/" * 2_000_000, 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " + b"x" * 9_000 + b"\r\n") * 3 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", 400),
        (b"BREW /TOKEN/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"POST /TOKEN/api/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\n\r\n", 411),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 411),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n", 413),
        (b"POST /TOKEN/api/undo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET /TOKEN/api/items?from=" + b"9" * 6000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /TOKEN/frame/" + b"9" * 6000 + b"/0/0.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /TOKEN/../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /TOKEN/%2e%2e/server.py HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_good_request_is_refused_with_a_line(
    server: ReviewServer, capfd: pytest.CaptureFixture[str], sent: bytes, status: int
) -> None:
    with connect(server) as client:
        client.sendall(sent.replace(b"TOKEN", server.token.encode()))
        client.shutdown(socket.SHUT_WR)
        found, body = reply(client)
    assert (found, error(body) != "") == (status, True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:9999", 200), ("localhost:1", 200), ("[::1]:8020", 200), ("[::1]", 200),
        ("192.168.0.7", 200), (socket.gethostname(), 200), ("evil.example", 403), ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:8020", 403), ("", 403), ("evil.example:80@127.0.0.1", 403), ("[::1", 403),
    ],
)  # fmt: skip
def test_another_name_for_this_machine_is_not_answered(server: ReviewServer, host: str, status: int) -> None:
    assert ask(server, get(server, Host=host))[0] == status


def test_the_token_is_looked_at_before_a_body_comes(server: ReviewServer) -> None:
    with connect(server) as client:
        client.sendall(request("POST", "/wrong/api/decide", Content_Length="60000"))
        status, body = reply(client)
    assert (status, error(body)) == (404, "no such page; open the link that `drivelet review` printed")


def test_a_refusal_reaches_a_client_that_is_still_sending(server: ReviewServer) -> None:
    answer = httpx.post(f"{server.address}api/decide", content=b"x" * 3_000_000, trust_env=False)
    assert answer.status_code == 413


def test_requests_in_one_go_are_answered_in_turn_and_head_gets_no_body(server: ReviewServer) -> None:
    head = request("HEAD", f"/{server.token}/", Connection="keep-alive")
    status, body = ask(server, head + get(server, Connection="keep-alive") + get(server))
    assert status == 200 and body.startswith(b"HTTP/1.1 200 OK\r\n") and body.count(b"HTTP/1.1 200 OK\r\n") == 2
    undo = request("POST", f"/{server.token}/api/undo", Content_Length="2", Expect="100-continue")
    with connect(server) as client:
        client.sendall(undo)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert reply(client)[0] == 200


def test_every_reply_tells_the_browser_to_trust_nothing_else(server: ReviewServer) -> None:
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        for path, status in (("", 200), ("api/start", 200), ("nothing", 404)):
            answer = client.get(path)
            assert answer.status_code == status and answer.headers["Cache-Control"] == "no-store"
            policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
            assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["script-src"].startswith("'sha256-") and policy["style-src"].startswith("'sha256-")
            assert (answer.headers["X-Content-Type-Options"], answer.headers["X-Frame-Options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize(
    "body", ["[" * 60_000, '{"number": true, "review": "accepted"}', '{"number": ' + "9" * 5000 + "}"]
)
def test_a_decision_made_to_break_the_reader_is_refused(
    server: ReviewServer, capfd: pytest.CaptureFixture[str], body: str
) -> None:
    answer = httpx.post(f"{server.address}api/decide", content=body, trust_env=False)
    assert answer.status_code == 400 and answer.json()["error"].startswith("no decision was kept")
    assert capfd.readouterr() == ("", "")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.floats(0, 1), cut=st.integers(0, 30), put=st.binary(max_size=30), posts=st.booleans(), ends=st.booleans()
)
def test_any_change_to_a_request_is_answered(
    server: ReviewServer, place: float, cut: int, put: bytes, posts: bool, ends: bool
) -> None:
    body = b'{"number": 99, "review": "accepted"}'
    whole = (
        request("POST", f"/{server.token}/api/decide", body, Content_Length=str(len(body))) if posts else get(server)
    )
    start = int(place * len(whole))
    with connect(server) as client:
        client.sendall(whole[:start] + put + whole[start + cut :])
        client.shutdown(socket.SHUT_WR)
        status, said = reply(client)
    assert status in (0, 200, 400, 403, 404, 405, 411, 413, 414, 431)
    assert status in (0, 200) or error(said)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_the_loopback_of_ip_version_6_is_served(tmp_path: Path, host: str) -> None:
    work = desk(labelled(tmp_path / "l", frames=1))
    with ReviewServer(work, frames_at, host=host, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert server.address.startswith("http://[::1]:")
        assert httpx.get(server.address, trust_env=False).status_code == 200
        server.shutdown()
        thread.join()
    work.close()


@pytest.mark.parametrize("host", ["", " ", "[]", "nowhere.invalid", "a" * 300, "\x00", "é.invalid", "999.1.1.1"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], host: str) -> None:
    folder = labelled(tmp_path / "l", frames=1)
    assert "--host" in refused(capfd, "review", folder, "--host", host, "--port", 0)


def test_a_fault_of_ours_is_one_reply_and_the_next_is_served(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(file: str, indices: Any) -> Any:
        raise ZeroDivisionError("a decoder's own fault")

    work = desk(labelled(tmp_path / "l", frames=1))
    with ReviewServer(work, broken, host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        item = work.describe(0)
        path = f"frame/{item['band']}/{item['place']}/{item['frame']}.jpg"
        status, body = ask(server, get(server, path))
        assert (status, error(body)) == (500, "a fault of drivelet: a decoder's own fault")
        assert ask(server, get(server))[0] == 200
        server.shutdown()
        thread.join()
    work.close()
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_sigterm_under_load_ends_the_command_with_its_table(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    command = [sys.executable, "-m", "drivelet.cli", "review", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().split()[2]
    port = int(link.split(":")[2].split("/")[0])
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(b"GET / HTT")
        httpx.post(f"{link}api/decide", content='{"number": 0, "review": "rejected"}', trust_env=False)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "1 rejected" in out and len(lines(folder / "reviews.jsonl")) == 1


def test_an_empty_host_is_told_as_one(tmp_path: Path) -> None:
    work = desk(labelled(tmp_path / "l", frames=1))
    with pytest.raises(InputError, match="--host: empty"):
        ReviewServer(work, frames_at, host="", port=0)
    work.close()
