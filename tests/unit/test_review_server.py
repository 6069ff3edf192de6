"""The page's server through a real client: token, frames, decisions, and what it refuses."""

import io
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from cli_calls import refused
from drive_files import numbered_frame
from drivelet.core.artifacts import ImageArray
from drivelet.core.tables import read_rows
from drivelet.review.frames import FrameStore
from review_folders import COUNT, labelled, lines, served


def post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    return client.post(path, content=body if isinstance(body, (str, bytes)) else json.dumps(body))


def test_a_review_from_the_first_page_to_the_table(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    with served(folder) as (client, _):
        page = client.get("")
        assert page.status_code == 200 and "<title>drivelet review</title>" in page.text
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "http" not in policy
        begin = client.get("api/start").json()
        assert (begin["number"], begin["total"], begin["left"], begin["reviewer"]) == (0, 16, 16, "ada")
        first, second = client.get("api/items?from=0&count=2").json()["items"]
        assert first["reason"] == "a labeler is sure of another answer"
        assert [vote["labeler"] for vote in first["votes"]] == ["teacher", "colour"]
        reply = post(client, "api/decide", {"number": 0, "review": "fixed", "answer": first["choices"][3]}).json()
        assert (reply["next"], reply["done"], reply["left"]) == (1, 1, 15)
        assert reply["item"]["review"] == {"review": "fixed", "answer": first["choices"][3]}
        assert lines(folder / "reviews.jsonl")[0]["answer"] == first["choices"][3]
        post(client, "api/decide", {"number": 1, "review": "rejected"})
        back = post(client, "api/undo", {}).json()
        assert (back["number"], back["undone"]["review"], back["item"]["review"]) == (1, "rejected", None)
        assert client.get("api/start").json()["number"] == 1
        assert second["number"] == 1
    marked = [row for row in read_rows(folder / "labels.lance") if row["review"]]
    assert [(row["answer"], row["review"]) for row in marked] == [(first["choices"][3], "fixed")]


def test_frames_are_the_drive_s_own_and_only_those_of_the_queue(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", fields=(COUNT,))
    with served(folder) as (client, _):
        (item,) = client.get("api/items?from=1&count=1").json()["items"]
        answer = client.get(f"frame/{item['band']}/{item['place']}/{item['frame']}.jpg")
        assert answer.headers["Content-Type"] == "image/jpeg" and "immutable" in answer.headers["Cache-Control"]
        picture = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert np.abs(picture.astype(int) - numbered_frame(item["frame"])).max() < 6
        assert client.get("frame/0/0/1.jpg").status_code == 404
        assert client.get("frame/0/7/0.jpg").status_code == 404
    with served(folder) as (client, _):
        (folder / "d0.mp4").unlink()
        answer = client.get(f"frame/{item['band']}/{item['place']}/{item['frame']}.jpg")
        assert answer.status_code == 404 and "no such video" in answer.json()["error"]


def test_another_page_without_the_token_is_not_heard(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    with served(folder) as (client, server):
        root = f"http://127.0.0.1:{server.server_port}"
        for address in (
            f"{root}/",
            f"{root}/api/start",
            f"{root}/wrong/api/start",
            f"{root}/%00/",
            f"{root}/{'é' * 9}/",
        ):
            assert client.get(address).status_code == 404
        decision = {"number": 0, "review": "accepted"}
        assert post(client, f"{root}/wrong/api/decide", decision).status_code == 404
        assert post(client, f"{root}/api/decide", decision).status_code == 404
    assert lines(folder / "reviews.jsonl") == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        b"\xff\xfe",
        '{"number": 0}',
        '{"number": 999, "review": "accepted"}',
        '{"number": -1, "review": "rejected"}',
        '{"number": 0, "review": "undo"}',
        '{"number": 0, "review": "fixed", "answer": "purple"}',
        '{"number": Infinity, "review": "accepted"}',
    ],
)
def test_a_wrong_decision_is_refused_with_a_line_and_nothing_is_kept(tmp_path: Path, body: str | bytes) -> None:
    folder = labelled(tmp_path / "l", frames=1)
    with served(folder) as (client, _):
        answer = post(client, "api/decide", body)
        assert answer.status_code == 400 and answer.json()["error"].startswith("no decision was kept")
        assert client.get("nothing").status_code == 404 and post(client, "nothing", {}).status_code == 404
        assert client.get("api/items?from=x&count=-1").json() == {"items": []}
    assert lines(folder / "reviews.jsonl") == []


def test_decisions_of_several_clients_at_once_are_all_kept(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", frames=20)
    with served(folder) as (client, server):

        def work(start: int) -> None:
            with httpx.Client(base_url=server.address, trust_env=False) as own:
                for number in range(start, 40, 4):
                    assert post(own, "api/decide", {"number": number, "review": "accepted"}).status_code == 200

        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.get("api/start").json()["number"] is None
    assert {row["review"] for row in read_rows(folder / "labels.lance")} == {"accepted"}
    assert len(lines(folder / "reviews.jsonl")) == 40


def test_one_reader_runs_forwards_and_a_damaged_frame_is_none() -> None:
    opened: list[list[int]] = []

    def read(file: str, indices: Any) -> Iterator[tuple[int, ImageArray]]:
        opened.append(list(indices))
        for index in indices:
            if index != 6:
                yield index, numbered_frame(index)

    store = FrameStore(read, keep=3)
    every = list(range(0, 20, 2))

    def ask(frame: int) -> bytes | None:
        return store.jpeg("f", frame, lambda: [index for index in every if index >= frame - 2])

    for frame in (4, 2, 8, 10, 10, 18):
        assert ask(frame)
    assert opened == [[2, 4, 6, 8, 10, 12, 14, 16, 18]]
    assert ask(4) and len(opened) == 2
    assert ask(6) is None and len(opened) == 2
    assert ask(18) and len(opened) == 2


def start(folder: Path, *options: str) -> tuple["subprocess.Popen[str]", str]:
    command = [sys.executable, "-m", "drivelet.cli", "review", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().split()[2]
    return process, link


def test_ctrl_c_writes_the_table_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    process, link = start(folder, "--reviewer", "grace", "--task", "cone")
    with httpx.Client(base_url=link, trust_env=False) as client:
        assert client.get("api/start").json()["total"] == 8
        post(client, "api/decide", {"number": 0, "review": "rejected"})
    process.kill()
    process.communicate()
    assert "review" not in read_rows(folder / "labels.lance")[0]
    process, link = start(folder, "--only", "rejected")
    with httpx.Client(base_url=link, trust_env=False) as client:
        assert sum(row["review"] == "rejected" for row in read_rows(folder / "labels.lance")) == 1
        number = client.get("api/start").json()["number"]
        post(client, "api/decide", {"number": number, "review": "accepted"})
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "1 accepted, 0 fixed, 1 rejected" in out
    assert sum(bool(row["review"]) for row in read_rows(folder / "labels.lance")) == 2


def test_bad_folders_ports_and_fields_get_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no labels.lance" in refused(capfd, "review", tmp_path / "nowhere")
    assert "no labels.lance" in refused(capfd, "review", tmp_path)
    assert [*tmp_path.iterdir()] == []
    folder = labelled(tmp_path / "l", fields=(COUNT,))
    assert "--task lamps" in refused(capfd, "review", folder, "--task", "lamps")
    assert "no label matches" in refused(capfd, "review", folder, "--task", "traffic_light")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: in use" in refused(capfd, "review", folder, "--port", port)
    assert "--host" in refused(capfd, "review", folder, "--host", "192.0.2.1", "--port", 0)
