"""Executors: one function mapped over partitions, on processes of this machine or on a Ray cluster."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from drivelet.core import progress
from drivelet.core.errors import MissingBackendError
from drivelet.core.ports import Executor

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class LocalExecutor:
    """Processes of this machine, started fresh (spawn), that end with their caller; one worker works inside it."""

    workers: int = 1

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return the results in the order of `items`; `function`, items and results must be picklable."""
        count = min(self.workers, len(items))
        if count < 2:
            return [function(item) for item in items]
        threads = max(1, (os.cpu_count() or 1) // count)
        # A fresh interpreter would otherwise look for its first modules in the working directory.
        os.environ["PYTHONSAFEPATH"] = "1"
        with ProcessPoolExecutor(
            count, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(threads,)
        ) as pool:
            return list(pool.map(function, items))


def _start_worker(threads: int) -> None:
    """Share the cores among the workers (to be said before a numerical library is imported); draw no bars."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    progress.draw_bars(wanted=False)
    Thread(target=_end_with_parent, daemon=True).start()


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
