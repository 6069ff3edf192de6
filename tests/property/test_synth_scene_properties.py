"""Invariants of every scene that can be drawn."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.synth.domain import full, narrow
from drivelet.synth.facts import finish
from drivelet.synth.scene import sample_scene

seeds, frames = st.integers(0, 2**31), st.integers(0, 10**6)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, index=frames, wide=st.booleans())
def test_scenes_are_valid_data(seed: int, index: int, wide: bool) -> None:
    scene = sample_scene(seed, index, full() if wide else narrow())
    assert json.loads(json.dumps(scene)) == scene
    ids = [item["id"] for item in scene["objects"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {part["index"] for part in scene["parts"]} <= {0, *ids}
    governing = {o["state"] for o in scene["objects"] if o["kind"] == "traffic_light" and o["governing"]}
    assert len(governing) <= 1, "lights that govern the ego lane agree"
    assert sum(o["kind"] == "speed_sign" for o in scene["objects"]) <= 1
    assert all(0.0 <= channel <= 1.0 for part in scene["parts"] for channel in part["color"])


@settings(max_examples=30, deadline=None)
@given(seed=seeds, index=frames, pixels=st.integers(0, 400), other=st.integers(0, 400))
def test_seeing_more_never_loses_an_object(seed: int, index: int, pixels: int, other: int) -> None:
    scene = sample_scene(seed, index, full())

    def seen(count: int) -> int:
        measured = {str(o["id"]): {"pixels": count, "box": [0, 0, 20, 20], "area": 400.0} for o in scene["objects"]}
        return sum(item["visible"] for item in finish(scene, measured)["objects"])

    low, high = sorted((pixels, other))
    assert seen(low) <= seen(high)
