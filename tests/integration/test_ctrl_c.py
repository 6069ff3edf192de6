"""Ctrl-C ends a whole command, its workers too, whatever a chat server does."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chat_server import ChatServer
from drive_files import write_images


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("everybody", [False, True])
def test_ctrl_c_ends_label_while_its_server_is_silent(tmp_path: Path, workers: int, everybody: bool) -> None:
    drives = [write_images(tmp_path / name, ["0.png", "1.png"]) for name in "ab"]
    asked, over = threading.Event(), threading.Event()

    def on_request(number: int) -> None:
        if number >= workers:
            asked.set()
        over.wait(timeout=120)

    with ChatServer(on_request=on_request) as server:
        command = [sys.executable, "-m", "drivelet.cli", "label", *map(str, drives), "--out", str(tmp_path / "out")]
        command += ["--teacher", f"openai:toy@{server.url}", "--workers", str(workers), "--set", "limits.concurrent=2"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert asked.wait(timeout=120)
        # At a terminal Ctrl-C reaches the whole group, from `kill -INT` the caller alone.
        (os.killpg if everybody else os.kill)(process.pid, signal.SIGINT)
        # The server keeps silent for two minutes: the test ends only where nobody waits for it.
        _, said = process.communicate(timeout=60)
        over.set()
    assert process.returncode == 130, said
    assert "Traceback" not in said and said.strip().endswith("the same command goes on from here")
