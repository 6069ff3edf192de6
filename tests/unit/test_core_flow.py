"""The store: a stage runs once for its config and inputs, a broken one leaves no manifest, chunks are kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from drivelet.core import flow


@dataclass(frozen=True, kw_only=True)
class Settings:
    times: int = 2


@flow.stage()
def copied(config: Settings, *, source: Path, out: Path) -> None:
    (out / "text").write_text(source.read_text() * config.times)


def counted(stage: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return stage(*args, **kwargs)

    call.__module__, call.__qualname__, call.__name__ = stage.__module__, stage.__qualname__, stage.__name__
    return flow.stage()(call), calls


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("a")
    return path


def test_the_same_call_runs_once(tmp_path: Path, source: Path) -> None:
    stage, calls = counted(copied)
    first = flow.run(stage, Settings(), store=tmp_path, inputs={"source": source})
    again = flow.run(stage, Settings(), store=tmp_path, inputs={"source": source})
    assert first == again
    assert (first / "text").read_text() == "aa"
    assert len(calls) == 1
    assert flow.is_complete(first)


def test_config_input_version_and_name_enter_the_key(tmp_path: Path, source: Path) -> None:
    def folder(config: Settings = Settings(), **options: Any) -> Path:
        return flow.run(copied, config, store=tmp_path, inputs={"source": source}, **options)

    found = [folder(), folder(replace(Settings(), times=3)), folder(name="again")]
    source.write_text("b")
    found.append(folder())
    found.append(folder(also={"place": "here"}))
    flow.stage(2)(copied)
    found.append(folder())
    flow.stage(2, parts=(flow.stage(7)(lambda: None),))(copied)
    found.append(folder())
    flow.stage()(copied)
    assert len(set(found)) == len(found)


def test_a_function_that_is_no_stage_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no stage; declare it"):
        flow.run(lambda config, *, out: None, {}, store=tmp_path, inputs={})


def test_a_path_is_known_by_content_and_not_by_place(tmp_path: Path, source: Path) -> None:
    other = tmp_path / "elsewhere"
    other.write_text("a")
    assert flow.identify(source) == flow.identify(other)
    other.write_text("b")
    assert flow.identify(source) != flow.identify(other)


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("a")
    assert flow.identify(tmp_path / "one") == flow.identify(tmp_path / "two")
    (tmp_path / "two" / "file").rename(tmp_path / "two" / "renamed")
    assert flow.identify(tmp_path / "one") != flow.identify(tmp_path / "two")


def test_a_stage_is_known_downstream_by_its_key(tmp_path: Path, source: Path) -> None:
    first = flow.run(copied, Settings(), store=tmp_path, inputs={"source": source})
    key = json.loads((first / flow.MANIFEST).read_text())["key"]
    assert flow.identify(first / "text") == f"{key}:text"
    assert flow.identify([first]) == [f"{key}:."]


def test_a_broken_stage_leaves_no_manifest_and_runs_again(tmp_path: Path, source: Path) -> None:
    broken = [True]

    @flow.stage()
    def fragile(config: Settings, *, source: Path, out: Path) -> None:
        (out / "part").write_text("kept")
        if broken:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        flow.run(fragile, Settings(), store=tmp_path, inputs={"source": source})
    (folder,) = tmp_path.glob("fragile-*")
    assert (folder / "part").is_file()
    assert not flow.is_complete(folder)
    broken.clear()
    assert flow.run(fragile, Settings(), store=tmp_path, inputs={"source": source}) == folder
    assert flow.is_complete(folder)


def test_the_manifest_is_written_last_and_says_what_made_it(tmp_path: Path, source: Path) -> None:
    seen: list[bool] = []

    @flow.stage()
    def watched(config: Settings, *, source: Path, out: Path) -> None:
        (out / "text").write_text("x")
        seen.append((out / flow.MANIFEST).exists())

    folder = flow.run(watched, Settings(times=5), store=tmp_path, inputs={"source": source})
    manifest = flow.read_json(folder / flow.MANIFEST)
    assert seen == [False]
    assert manifest["config"] == {"type": "Settings", "times": 5}
    assert manifest["digests"] == {"text": flow.digest_text("x")}
    assert manifest["packages"]["numpy"]
    assert manifest["seconds"] >= 0
    assert manifest["peak_rss_mb"] > 1


def test_helpers_do_not_enter_the_key(tmp_path: Path) -> None:
    @flow.stage()
    def helped(config: dict[str, int], *, helper: Any, out: Path) -> None:
        (out / "text").write_text(str(helper))

    first = flow.run(helped, {}, store=tmp_path, inputs={}, context={"helper": 1})
    second = flow.run(helped, {}, store=tmp_path, inputs={}, context={"helper": 2})
    assert first == second
    assert (second / "text").read_text() == "1"


def test_chunks_go_on_after_the_last_whole_one(tmp_path: Path) -> None:
    done: list[list[int]] = []

    def work(chunk: Sequence[int]) -> list[int]:
        if chunk[0] == 4 and len(done) < 3:
            done.append([])
            raise RuntimeError("power cut")
        done.append(list(chunk))
        return [2 * item for item in chunk]

    with pytest.raises(RuntimeError):
        list(flow.chunks_on_disk(tmp_path, range(7), work, size=2))
    assert done == [[0, 1], [2, 3], []]
    assert list(flow.chunks_on_disk(tmp_path, range(7), work, size=2)) == [[0, 2], [4, 6], [8, 10], [12]]
    assert done[3:] == [[4, 5], [6]]


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    flow.write_json(path, {"a": (1, Path("b"))})
    with pytest.raises(TypeError):
        flow.write_json(path, {"a": object()})
    assert flow.read_json(path) == {"a": [1, "b"]}


def test_a_set_has_one_order() -> None:
    assert flow.plain({"x": {"b", "a"}}) == {"x": ["a", "b"]}
