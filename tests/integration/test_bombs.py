"""Small files that unpack to gigabytes, and cells and lines without end: refused at once, in little memory."""

import io
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drive_files import HEADER as SENSORS
from drive_files import write_images, write_video

MANIFEST = "path,task,label,split,group,sensor\n"
MEMORY_MB = 700
"""Of a command that loads no model: its libraries take 200 MB."""
WITH_TORCH_MB = 2000
"""Of one that does: torch built for GPUs takes nearly 1,000 by itself. A cell that reached the model took 10,000."""
MEASURED = """
import sys
from drivelet.cli import main
from drivelet.core.memory import peak_rss_mb
try:
    main(sys.argv[1:])
finally:
    print(round(peak_rss_mb()), file=sys.stderr)
"""


def ended(*arguments: object) -> tuple[int, str, int]:
    """Run `drivelet ARGUMENTS` in a process of its own; return exit code, what was told, and its peak in MB."""
    command = [sys.executable, "-P", "-c", MEASURED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told, _, peak = done.stderr.strip().rpartition("\n")
    return done.returncode, told, int(peak)


def archive(folder: Path) -> Path:
    """A `.npz` of 1 MB whose array has 1 GB."""
    path, numbers = folder / "minute.npz", 128_000_000
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (numbers,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("frame_times.npy", "w") as stream:
        stream.write(head.getvalue())
        for _ in range(numbers * 8 // 1_000_000):
            stream.write(bytes(1_000_000))
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def picture(folder: Path, *, side: int = 8, text: int = 0) -> Path:
    """A folder with a grey PNG: of a side in pixels, and a compressed text of so many bytes."""
    head = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side + 1) * min(side, 2000)), 9)
    note = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(text), 9)) if text else b""
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + note + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (folder / "a.png").write_bytes(content)
    return folder


def sensors(folder: Path, content: str) -> Path:
    """A video with this sensor log."""
    video = write_video(folder / "drive.mp4", frames=3)
    video.with_suffix(".csv").write_text(content)
    return video


DRIVES: dict[str, Callable[[Path], Path]] = {
    "archive": archive,
    "wide picture": lambda folder: picture(folder, side=60_000),
    "text of a picture": lambda folder: picture(folder, text=1 << 29),
    "cell of a log": lambda folder: sensors(folder, f"{SENSORS}\n0,{'9' * 100_000},0,0\n"),
    "line of a log": lambda folder: sensors(folder, f"{SENSORS}\n{'0,' * 10_000_000}\n"),
    "head of a log": lambda folder: sensors(folder, f"{SENSORS}{',x' * 5_000_000}\n0,1,0,0\n"),
}


@pytest.mark.parametrize("name", DRIVES)
def test_a_drive_that_unpacks_without_end_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    code, told, peak = ended("ingest", DRIVES[name](tmp_path), "--out", tmp_path / "out")
    assert code == 2 and told.count("drivelet: ") == 1 and "Traceback" not in told
    assert peak < MEMORY_MB


def test_a_cell_without_end_is_refused_before_a_model_reads_it(tmp_path: Path, tiny_folder: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "m.csv").write_text(f"{MANIFEST}a.png,cone.count,0,train,g,{'speed 3 ' * 12_500}\n")
    code, told, peak = ended("predict", tiny_folder, tmp_path / "m.csv", "--out", tmp_path / "out.jsonl")
    assert code == 2 and "m.csv" in told and "Traceback" not in told
    assert peak < WITH_TORCH_MB
