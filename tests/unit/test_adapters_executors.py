"""Executors: order kept, one worker inline, errors handed on, Ray only where it is installed."""

import importlib.util
import math
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivelet.adapters.executors import LocalExecutor, RayExecutor, executor
from drivelet.core.errors import MissingBackendError

HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order_of_items(workers: int) -> None:
    assert LocalExecutor(workers=workers).map(operator.neg, range(7)) == [0, -1, -2, -3, -4, -5, -6]
    assert LocalExecutor(workers=workers).map(operator.neg, []) == []


def test_one_worker_stays_in_this_process_and_two_do_not() -> None:
    assert set(LocalExecutor().map(eval, ["__import__('os').getpid()"] * 2)) == {os.getpid()}
    assert os.getpid() not in LocalExecutor(workers=2).map(eval, ["__import__('os').getpid()"] * 2)


def test_workers_share_the_cores() -> None:
    (threads,) = set(LocalExecutor(workers=2).map(os.getenv, ["OMP_NUM_THREADS"] * 2))
    assert threads == str(max(1, (os.cpu_count() or 1) // 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        LocalExecutor(workers=workers).map(math.sqrt, [1.0, -1.0])


def test_workers_end_with_a_killed_caller(tmp_path: Path) -> None:
    work = "[open({!r}, 'w').write(str(__import__('os').getpid())), __import__('time').sleep(120)]"
    items = [work.format(str(tmp_path / name)) for name in "ab"]
    code = f"from drivelet.adapters.executors import LocalExecutor; LocalExecutor(workers=2).map(eval, {items})"
    caller = subprocess.Popen([sys.executable, "-c", code])
    pids = [int(text) for name in "ab" if (text := _written(tmp_path / name))]
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert len(pids) == 2 and all(_ends(pid) for pid in pids)


def _written(path: Path) -> str:
    for _ in range(600):
        if path.is_file() and (text := path.read_text()):
            return text
        time.sleep(0.1)
    return ""


def _ends(pid: int) -> bool:
    for _ in range(300):
        status = Path(f"/proc/{pid}/stat")
        if not status.is_file() or status.read_text().rsplit(") ", 1)[1][0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_missing_ray_is_told_with_its_remedy() -> None:
    with pytest.raises(MissingBackendError, match=r"pip install 'drivelet\[ray\]'"):
        executor("ray", workers=1)


@pytest.mark.skipif(not HAS_RAY, reason="Ray, an extra, is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same() -> None:
    assert RayExecutor(workers=2).map(operator.neg, range(4)) == LocalExecutor().map(operator.neg, range(4))
