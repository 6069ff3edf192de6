"""Executors: order kept, one worker inline, errors handed on, Ray only where it is installed."""

import importlib.util
import math
import operator
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivelet.adapters.executors import TIMEOUT, LocalExecutor, RayExecutor, executor
from drivelet.core.errors import InputError, MissingBackendError
from processes import ends, written

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
    pids = [int(text) for name in "ab" if (text := written(tmp_path / name))]
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert len(pids) == 2 and all(ends(pid) for pid in pids)


def test_a_killed_worker_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a worker process was killed.*fewer --workers"):
        LocalExecutor(workers=2).map(eval, ["__import__('os').kill(__import__('os').getpid(), 9)", "1"])


def test_a_worker_without_a_sign_of_life_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "3")
    stopped = f"[open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))," + (
        " __import__('os').kill(__import__('os').getpid(), __import__('signal').SIGSTOP)]"
    )
    with pytest.raises(InputError, match=rf"no sign of life for 3 s; .*{TIMEOUT}"):
        LocalExecutor(workers=2).map(eval, [stopped, "1"])
    assert ends(int(written(tmp_path / "pid")))


def test_a_worker_that_is_slow_but_alive_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "2")
    assert LocalExecutor(workers=2).map(eval, ["__import__('time').sleep(5)", "7"]) == [None, 7]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "soon", "inf"])
def test_a_silence_that_is_no_number_of_seconds_is_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(InputError, match=f"{TIMEOUT}={text}: give seconds"):
        LocalExecutor(workers=2).map(eval, ["1", "2"])


def test_where_one_fails_those_under_way_are_finished_and_no_other_is_begun(tmp_path: Path) -> None:
    write = "[__import__('time').sleep(2), open({!r}, 'w').write('x')]"
    items = ["1 / 0", *(write.format(str(tmp_path / str(n))) for n in range(12))]
    with pytest.raises(ZeroDivisionError):
        LocalExecutor(workers=2).map(eval, items)
    assert 1 <= len(list(tmp_path.iterdir())) < 12


@pytest.mark.parametrize(
    "hang", ["__import__('time').sleep(300)", "__import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 10**9)"]
)
@pytest.mark.parametrize("everybody", [False, True])
def test_ctrl_c_ends_caller_and_workers(tmp_path: Path, hang: str, everybody: bool) -> None:
    work = f"[open({{!r}}, 'w').write(str(__import__('os').getpid())), {hang}]"
    items = [work.format(str(tmp_path / name)) for name in "ab"]
    code = f"from drivelet.adapters.executors import LocalExecutor; LocalExecutor(workers=2).map(eval, {items})"
    caller = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True)
    pids = [int(text) for name in "ab" if (text := written(tmp_path / name))]
    # At a terminal Ctrl-C reaches the whole group, from `kill -INT` the caller alone.
    (os.killpg if everybody else os.kill)(caller.pid, signal.SIGINT)
    _, said = caller.communicate(timeout=60)
    assert caller.returncode == -signal.SIGINT and said.count("Traceback") == 1
    assert len(pids) == 2 and all(ends(pid) for pid in pids)


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_missing_ray_is_told_with_its_remedy() -> None:
    with pytest.raises(MissingBackendError, match=r"pip install 'drivelet\[ray\]'"):
        executor("ray", workers=1)


@pytest.mark.skipif(not HAS_RAY, reason="Ray, an extra, is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same() -> None:
    assert RayExecutor(workers=2).map(operator.neg, range(4)) == LocalExecutor().map(operator.neg, range(4))
