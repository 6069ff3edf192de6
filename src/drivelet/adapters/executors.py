"""Executors: one function mapped over partitions, on processes of this machine or on a Ray cluster."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from drivelet.adapters.patience import patience_s
from drivelet.core import progress
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.core.ports import Executor

T = TypeVar("T")
R = TypeVar("R")


TIMEOUT = "DRIVELET_WORKER_TIMEOUT"
"""Environment variable: seconds without a sign of life after which a worker is given up on; 600 by default."""
BEAT_S = 0.5
GRACE_S = 1.5
"""After Ctrl-C, workers have this long to close what they have open."""


@dataclass(frozen=True, kw_only=True)
class LocalExecutor:
    """Processes of this machine, started fresh (spawn), that end with their caller; one worker works inside it."""

    workers: int = 1

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return the results in the order of `items`; `function`, items and results must be picklable.

        Where one fails, those under way are finished and no other is begun.

        Raises:
            InputError: a worker was killed, or shows no sign of life.
        """
        count = min(self.workers, len(items))
        if count < 2:
            return [function(item) for item in items]
        silence_s = patience_s(TIMEOUT, 600.0)
        spawn = get_context("spawn")
        team = _Team(pids=spawn.RawArray("q", count), beats=spawn.RawArray("Q", count), seats=spawn.Value("i", 0))
        threads = max(1, (os.cpu_count() or 1) // count)
        # A fresh interpreter would otherwise look for its first modules in the working directory.
        os.environ["PYTHONSAFEPATH"] = "1"
        pool = ProcessPoolExecutor(count, mp_context=spawn, initializer=_start_worker, initargs=(threads, team))
        try:
            futures = [pool.submit(_work, function, item) for item in items]
            _watch(futures, team, silence_s)
        except BaseException:
            _end(team)
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        try:
            return [future.result() for future in futures if not future.cancelled()]
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process was killed, often by the system for want of memory; give fewer --workers and run the"
                " same command again"
            ) from error


class _Team(NamedTuple):
    """What workers share with their caller: their process ids, a count that rises while they live, the seats taken."""

    pids: Any
    beats: Any
    seats: Any


def _watch(futures: "Sequence[Future[Any]]", team: _Team, silence_s: float) -> None:
    """Wait until all are done, or one failed and those under way are done.

    Silence is counted in looks of our own, so that a machine that slept, or a caller that was stopped, blames nobody.
    """
    seen, silent = list(team.beats), [0] * len(team.beats)
    while wait(futures, timeout=BEAT_S).not_done:
        if any(future.done() and not future.cancelled() and future.exception() for future in futures):
            for future in futures:
                future.cancel()
        now = list(team.beats)
        # A worker that has not begun has no beat yet, and is not waited for by anyone but the pool.
        silent = [quiet + 1 if old == new and new else 0 for quiet, old, new in zip(silent, seen, now, strict=True)]
        seen = now
        if max(silent) * BEAT_S >= silence_s:
            raise InputError(
                f"a worker process gives no sign of life for {silence_s:g} s; run the same command again, or set"
                f" {TIMEOUT} to more seconds"
            )


def _end(team: _Team) -> None:
    """Ask the workers to close what they have open, and kill those that do not within the grace."""
    crew = [child for child in active_children() if child.pid in set(team.pids)]
    for child in crew:
        child.terminate()
    until = time.monotonic() + GRACE_S
    for child in crew:
        child.join(max(0.0, until - time.monotonic()))
        if child.is_alive():
            child.kill()


def _start_worker(threads: int, team: _Team) -> None:
    """Share the cores among the workers (to be said before a numerical library is imported); draw no bars."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    progress.draw_bars(wanted=False)
    # Ctrl-C at a terminal reaches every process: the caller alone decides, and tells each worker once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupted)
    with team.seats:
        seat = team.seats.value
        team.seats.value += 1
    if seat < len(team.pids):
        team.pids[seat] = os.getpid()
        Thread(target=_beat, args=(team.beats, seat), daemon=True).start()
    Thread(target=_end_with_parent, daemon=True).start()


def _beat(beats: Any, seat: int) -> None:
    while True:
        beats[seat] += 1
        time.sleep(BEAT_S)


def _interrupted(*_: object) -> None:
    if not _at_work:
        os._exit(130)
    raise KeyboardInterrupt


_at_work: list[bool] = []


def _work(function: Callable[[T], R], item: T) -> R:
    _at_work.append(True)
    try:
        return function(item)
    except KeyboardInterrupt:
        os._exit(130)  # what was open is closed; the pool would send the interruption on as a result
    finally:
        _at_work.clear()


def _end_with_parent() -> None:
    """Wait for the caller's end, then stop at once: an orphan would go on writing beside the caller's next attempt."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """Tasks on the Ray cluster that RAY_ADDRESS names, or on a local one; files must lie where every node sees them."""

    workers: int = 1

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return the results in the order of `items`.

        Raises:
            MissingBackendError: Ray is not installed.
        """
        ray = _ray()
        ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
        task = ray.remote(_call)
        return ray.get([task.remote(function, item) for item in items])


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingBackendError("--executor ray: Ray is not installed; run `pip install 'drivelet[ray]'`") from error
    return ray


def executor(name: str, *, workers: int) -> Executor:
    """Return the executor `local` or `ray`.

    Raises:
        MissingBackendError: Ray is asked for and not installed.
    """
    if name == "ray":
        _ray()
        return RayExecutor(workers=workers)
    return LocalExecutor(workers=workers)
