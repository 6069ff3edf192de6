"""The client of the Blender worker against workers that misbehave, each a process of its own."""

import errno
import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivelet.adapters import blender
from drivelet.core.errors import InputError
from processes import ends, written

HEAD = """
import json, sys, zlib
from pathlib import Path
print(json.dumps({"ready": True}), flush=True)
def png(path):
    Path(path).write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + b"IEND\\xaeB`\\x82")
for line in sys.stdin:
    request = json.loads(line)
    labels = Path(request["labels"])
"""
GOOD = """
    labels.write_text(json.dumps({"key": request["key"], "objects": {}}))
    png(request["image"])
    print(json.dumps({"image": request["image"]}), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path):
    """Make the command of a worker with this body."""

    def make(body: str) -> list[str]:
        path = tmp_path / "worker.py"
        path.write_text(HEAD + body, encoding="utf-8")
        return [sys.executable, str(path)]

    return make


def jobs(folder: Path, count: int) -> Iterator[blender.Job]:
    for i in range(count):
        yield blender.Job(scene={"id": str(i)}, image=folder / f"{i}.png", labels=folder / f"{i}.json")


def test_jobs_are_taken_as_workers_are_free(tmp_path: Path, worker) -> None:
    taken = itertools.count()
    source = (job for job in jobs(tmp_path, 40) if next(taken) >= 0)
    finished = blender.render(source, workers=2, log=tmp_path / "log", command=worker(GOOD))
    first = next(finished)
    assert first.done
    assert len(list(finished)) == 39
    assert all(job.done for job in jobs(tmp_path, 40))


def test_an_endless_source_is_not_read_to_its_end(tmp_path: Path, worker) -> None:
    endless = (job for _ in itertools.count() for job in jobs(tmp_path, 3))
    finished = blender.render(endless, log=tmp_path / "log", command=worker(GOOD))
    for _ in range(5):
        next(finished)
    finished.close()


def test_a_source_that_fails_is_the_callers_error(tmp_path: Path, worker) -> None:
    def broken() -> Iterator[blender.Job]:
        yield from jobs(tmp_path, 2)
        raise InputError("no third scene")

    with pytest.raises(InputError, match="no third scene"):
        list(blender.render(broken(), log=tmp_path / "log", command=worker(GOOD)))


def test_a_worker_that_dies_three_times_over_a_frame_is_one_error_and_leaves_no_frame(tmp_path: Path, worker) -> None:
    dies = """
    labels.write_text(json.dumps({"key": request["key"], "objects": {}}))
    Path(request["image"] + ".partial").write_bytes(b"half")
    sys.exit(9)
"""
    (job,) = jobs(tmp_path, 1)
    job.image.write_bytes(b"\x89PNG an older picture, whole: IEND\xaeB`\x82")
    with pytest.raises(InputError, match=r"died 3 times over 0\.png; see .*log"):
        list(blender.render([job], log=tmp_path / "log", command=worker(dies)))
    assert not job.image.exists(), "the older picture would have been taken for the new labels' own"
    assert not job.done


def test_a_worker_that_dies_once_is_started_again(tmp_path: Path, worker) -> None:
    once = """
    if not Path(sys.argv[0]).with_suffix(".died").exists():
        Path(sys.argv[0]).with_suffix(".died").touch()
        sys.exit(9)
"""
    assert len(list(blender.render(jobs(tmp_path, 3), log=tmp_path / "log", command=worker(once + GOOD)))) == 3


def test_a_worker_that_says_done_without_files_is_not_believed(tmp_path: Path, worker) -> None:
    lies = """
    print(json.dumps({"image": request["image"]}), flush=True)
"""
    with pytest.raises(InputError, match="died 3 times"):
        list(blender.render(jobs(tmp_path, 1), log=tmp_path / "log", command=worker(lies)))


def test_a_full_disk_is_told_as_one(tmp_path: Path, worker) -> None:
    full = """
    print(json.dumps({"error": "OSError: [Errno 28] No space left on device"}), flush=True)
"""
    with pytest.raises(OSError) as caught:
        list(blender.render(jobs(tmp_path, 1), log=tmp_path / "log", command=worker(full)))
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value.filename).endswith("0.png")


def test_a_refused_scene_is_named(tmp_path: Path, worker) -> None:
    refuses = """
    print(json.dumps({"error": "ValueError: no such asset"}), flush=True)
"""
    with pytest.raises(InputError, match=r"refused 0\.png: ValueError: no such asset"):
        list(blender.render(jobs(tmp_path, 1), log=tmp_path / "log", command=worker(refuses)))


SILENT = """
    import time
    Path(sys.argv[0]).with_suffix(".pid").write_text(str(__import__("os").getpid()))
    time.sleep(300)
"""


def ended(tmp_path: Path) -> bool:
    return ends(int(written(tmp_path / "worker.pid")))


def test_a_worker_that_is_silent_over_a_frame_is_given_up_on(
    tmp_path: Path, worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(blender.TIMEOUT, "1.5")
    with pytest.raises(InputError, match=rf"nothing for 1\.5 s over 0\.png; see .*log, or set {blender.TIMEOUT}"):
        list(blender.render(jobs(tmp_path, 3), log=tmp_path / "log", command=worker(SILENT)))
    assert ended(tmp_path)


@pytest.mark.parametrize(
    "start", ["time.sleep(300)", "[print('hm', flush=True) or time.sleep(0.1) for _ in range(3000)]"]
)
def test_a_worker_that_never_gets_ready_is_given_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setenv(blender.TIMEOUT, "1")
    command = [sys.executable, "-c", f"import time; {start}"]
    with pytest.raises(InputError, match="nothing for 1 s before it was ready"):
        list(blender.render(jobs(tmp_path, 1), log=tmp_path / "log", command=command))


def test_what_a_wrapper_started_ends_with_it(tmp_path: Path, worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.TIMEOUT, "3")
    wrapper = ["/bin/sh", "-c", f"{' '.join(worker(SILENT))}; true"]
    with pytest.raises(InputError, match=r"nothing for 3 s over 0\.png"):
        list(blender.render(jobs(tmp_path, 1), log=tmp_path / "log", command=wrapper))
    assert ended(tmp_path)


def test_lines_that_are_no_replies_are_passed_over(tmp_path: Path, worker) -> None:
    chatty = """
    print("{broken", flush=True)
    sys.stdout.buffer.write(b"\\xff\\xfe\\n")
    sys.stdout.flush()
"""
    assert len(list(blender.render(jobs(tmp_path, 2), log=tmp_path / "log", command=worker(chatty + GOOD)))) == 2


CALLER = """
import sys
from pathlib import Path
from drivelet.adapters import blender
out = Path(sys.argv[1])
job = blender.Job(scene={}, image=out / "0.png", labels=out / "0.json")
list(blender.render([job], log=out / "log", command=sys.argv[2:]))
"""


def test_ctrl_c_ends_a_worker_that_is_silent(tmp_path: Path, worker) -> None:
    call = [sys.executable, "-c", CALLER, str(tmp_path), *worker(SILENT)]
    caller = subprocess.Popen(call, stderr=subprocess.DEVNULL)
    assert written(tmp_path / "worker.pid")
    caller.send_signal(signal.SIGINT)
    # The worker would go on for minutes: the test ends only where the caller does not wait for it.
    assert caller.wait(timeout=60) == -signal.SIGINT and ended(tmp_path)


def test_a_caller_that_stops_early_ends_the_workers(tmp_path: Path, worker) -> None:
    once = """
    if request["image"].endswith("0.png"):
        labels.write_text(json.dumps({"key": request["key"], "objects": {}}))
        png(request["image"])
        print(json.dumps({"image": request["image"]}), flush=True)
        continue
"""
    finished = blender.render(jobs(tmp_path, 2), log=tmp_path / "log", command=worker(once + SILENT))
    next(finished)
    assert written(tmp_path / "worker.pid")
    finished.close()
    assert ended(tmp_path)
