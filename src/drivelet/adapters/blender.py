"""Client of the Blender worker: scene records in, whole image and label files out."""

import errno
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import IO, Any

from drivelet.adapters.patience import patience_s, take
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.core.identity import digest_of

WORKER = Path(__file__).resolve().parents[1] / "workers" / "blender_worker.py"
CHECKOUT = WORKER.parents[3]
ENVIRONMENT = "DRIVELET_BLENDER"
TIMEOUT = "DRIVELET_BLENDER_TIMEOUT"
"""Environment variable: seconds that a worker may take to start, or over one frame; 600 by default."""
ATTEMPTS = 3
PNG_END = b"IEND\xaeB`\x82"
FULL = f"[Errno {errno.ENOSPC}]"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One frame: an unrendered scene record and the two files to write.

    `labels` is JSON `{"key", "objects": {instance id: {"pixels", "box", "amodal", "area"}}}`. `cycles` overrides the
    renderer's settings (see the worker), to measure what they cost; it does not enter the key.
    """

    scene: dict[str, Any]
    image: Path
    labels: Path
    cycles: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """Digest of the scene record and of the code that draws it, stored with the labels."""
        return digest_of([self.scene, worker_code()])[:24]

    @property
    def done(self) -> bool:
        """Both files exist, whole, for this very scene; they are renamed into place, the labels first."""
        return _is_whole(self.image) and _key_in(self.labels) == self.key


@cache
def worker_code() -> str:
    """Return a digest of the code that draws: renders of other code are other pictures."""
    return digest_of([path.read_text(encoding="utf-8") for path in sorted(WORKER.parent.glob("*.py"))])


def _is_whole(image: Path) -> bool:
    """A PNG file that ends as one: a copy or a crash of the machine may have cut it short."""
    if not image.is_file() or image.stat().st_size < len(PNG_END):
        return False
    with image.open("rb") as stream:
        stream.seek(-len(PNG_END), os.SEEK_END)
        return stream.read() == PNG_END


def _key_in(labels: Path) -> str | None:
    try:
        found = json.loads(labels.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found.get("key") if isinstance(found, dict) and isinstance(found.get("objects"), dict) else None


def find_blender() -> list[str]:
    """The command that runs the worker.

    Looks at the variable DRIVELET_BLENDER (a Python with bpy, or a blender binary), then `.venv-blender` in the
    checkout that this package runs from, then a `blender` on the PATH. Nothing in the working directory is ever run: it
    may hold other people's data.

    Raises:
        MissingBackendError: none is there.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        found = shutil.which(named, path=_absolute_path())
        if found is None:
            raise MissingBackendError(f"{ENVIRONMENT}={named}: no such program; name a Python with bpy, or blender")
        return _command(found)
    python = CHECKOUT / ".venv-blender" / "bin" / "python"
    if _is_checkout(CHECKOUT) and _is_own(python):
        return _command(str(python))
    binary = shutil.which("blender", path=_absolute_path())
    if binary is None:
        raise MissingBackendError(
            "Blender: no .venv-blender and no blender on the PATH; run `make setup` or set DRIVELET_BLENDER to one"
        )
    return _command(binary)


def _absolute_path() -> str:
    """The PATH without entries such as `.`, which mean the working directory."""
    return os.pathsep.join(entry for entry in os.get_exec_path() if Path(entry).is_absolute())


def _is_checkout(folder: Path) -> bool:
    """Whether this package runs from its source: an installed one lies among other packages."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return project.get("project", {}).get("name") == "drivelet"


def _is_own(program: Path) -> bool:
    """Whether a program and the folders of its environment are this user's or the system's to change."""
    try:
        owners = {path.stat().st_uid for path in (program, program.parent, program.parents[1])}
    except OSError:
        return False
    return owners <= {0, os.getuid()}


def _command(program: str) -> list[str]:
    if "python" in Path(program).name:
        return [program, str(WORKER)]
    return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(WORKER), "--"]


class _Crew:
    """The worker processes under way, so that all can be ended at once; none is started after that."""

    def __init__(self) -> None:
        self._lock, self._running, self.ended = threading.Lock(), set["subprocess.Popen[str]"](), False

    def add(self, process: "subprocess.Popen[str]") -> None:
        with self._lock:
            self._running.add(process)
            if self.ended:
                _kill(process)

    def remove(self, process: "subprocess.Popen[str]") -> None:
        with self._lock:
            self._running.discard(process)

    def end(self) -> None:
        with self._lock:
            self.ended = True
            for process in self._running:
                _kill(process)


def _kill(process: "subprocess.Popen[str]") -> None:
    """End a worker and what it started itself: a wrapper's Blender would hold its output open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class _Worker:
    """One worker process in a group of its own; its own prints go to a log file."""

    def __init__(self, command: Sequence[str], threads: int, log: IO[bytes], crew: _Crew) -> None:
        self.log, self._crew, self._patience_s = log, crew, patience_s(TIMEOUT, 600.0)
        self._silent = False
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        crew.add(self.process)
        if self._reply("before it was ready") is None:
            self.close()
            code = self.process.returncode
            raise InputError(f"Blender worker {' '.join(command)} did not start (exit code {code}); see {log.name}")

    def _reply(self, when: str) -> dict[str, Any] | None:
        """Return what the worker says next; None where it died. One that keeps silent is killed and told."""
        assert self.process.stdout is not None
        timer = threading.Timer(self._patience_s, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            for line in self.process.stdout:
                with suppress(ValueError):
                    if line.startswith("{"):
                        return json.loads(line)
        finally:
            timer.cancel()
        if self._silent:
            self.close()
            raise InputError(
                f"Blender worker said nothing for {self._patience_s:g} s {when}; see {self.log.name}, or set {TIMEOUT}"
                " to more seconds"
            )
        return None

    def _give_up(self) -> None:
        self._silent = True
        _kill(self.process)

    def ask(self, job: Job) -> dict[str, Any] | None:
        """Send one job; None where the process died over it."""
        assert self.process.stdin is not None
        request = {"scene": job.scene, "key": job.key, "image": str(job.image), "labels": str(job.labels)}
        if job.cycles is not None:
            request["cycles"] = dict(job.cycles)
        # The labels are renamed first: an older picture beside them would be taken for theirs if the worker died now.
        job.image.unlink(missing_ok=True)
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._reply(f"over {job.image.name}")

    def close(self) -> None:
        """End the process: kindly, then firmly."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            self.process.kill()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            _kill(self.process)
            self.process.wait()
        self._crew.remove(self.process)
        self.process.stdout.close()


def render(
    jobs: Iterable[Job], *, log: Path, workers: int = 1, threads: int = 1, command: Sequence[str] | None = None
) -> Iterator[Job]:
    """Render jobs on worker processes and yield each when its files are whole, in any order.

    A worker that dies is started again and its job repeated, at most three times; one that is silent for longer than
    DRIVELET_BLENDER_TIMEOUT seconds is given up on. When the caller stops, by Ctrl-C too, workers end at once. Pixels
    depend on the scene alone, not on the number of workers or the order.

    Args:
        jobs: what to render; taken one by one as workers are free, so that they need not all be in memory.
        workers: processes.
        threads: render threads in each.
        log: file that collects Blender's own prints.
        command: the worker's command; by default `find_blender()`.

    Raises:
        MissingBackendError: Blender is not installed.
        InputError: a worker does not start, refuses a scene, keeps silent, or dies over the same scene three times.
        OSError: the disk is full.
    """
    source = iter(jobs)
    first = next(source, None)
    if first is None:
        return
    start = list(command or find_blender())
    waiting = _Waiting(chain([first], source))
    results: queue.SimpleQueue[Job | Exception | None] = queue.SimpleQueue()
    crew = _Crew()
    count = max(1, workers)
    with log.open("ab") as stream:
        serving = [
            threading.Thread(target=_serve, args=(start, threads, stream, waiting, results, crew), daemon=True)
            for _ in range(count)
        ]
        for member in serving:
            member.start()
        try:
            yield from _collect(results, count)
        finally:
            # Nothing is under way where all is done; a frame that was begun would keep a stopped caller waiting.
            crew.end()
            for member in serving:
                member.join()


class _Waiting:
    """Jobs that several threads take one by one."""

    def __init__(self, jobs: Iterator[Job]) -> None:
        self._jobs, self._lock = jobs, threading.Lock()

    def take(self) -> Job | None:
        with self._lock:
            return next(self._jobs, None)


def _collect(results: "queue.SimpleQueue[Job | Exception | None]", running: int) -> Iterator[Job]:
    while running:
        result = take(results)
        if result is None:
            running -= 1
        elif isinstance(result, Exception):
            raise result
        else:
            yield result


def _serve(command: list[str], threads: int, log: IO[bytes], waiting: _Waiting,
           results: "queue.SimpleQueue[Job | Exception | None]", crew: _Crew) -> None:  # fmt: skip
    worker: _Worker | None = None
    try:
        while not crew.ended:
            job = waiting.take()
            if job is None:
                break
            worker = _do(job, command, threads, log, worker, crew)
            results.put(job)
    except Exception as error:  # handed to the caller's thread, which raises it
        results.put(error)
    finally:
        if worker is not None:
            worker.close()
        results.put(None)


def _do(job: Job, command: list[str], threads: int, log: IO[bytes], worker: _Worker | None, crew: _Crew) -> _Worker:
    for _ in range(1 if crew.ended else ATTEMPTS):
        worker = worker or _Worker(command, threads, log, crew)
        reply = worker.ask(job)
        if reply is not None and "error" in reply:
            worker.close()
            if FULL in str(reply["error"]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.image))
            raise InputError(f"Blender worker refused {job.image.name}: {reply['error']}; see {log.name}")
        if reply is not None and job.done:
            return worker
        worker.close()
        worker = None
    raise InputError(f"Blender worker died {ATTEMPTS} times over {job.image.name}; see {log.name}")
