from drivelet.core.manifest import Row
from drivelet.evaluate.long_tail import of_size


def row(task, path="a.png"):
    return Row(path=path, task=task, label="x", split="test", group="g")


def seen(kind, height, **facts):
    return {"kind": kind, "visible": True, "box": [0, 5, 4, 5 + height], **facts}


SCENES = {
    "a.png": {
        "objects": [
            seen("traffic_light", 12, governing=True),
            seen("traffic_light", 3, governing=False),
            seen("lamp", 4, governing=True),
            seen("cone", 30),
            seen("cone", 9),
            {"kind": "speed_sign", "visible": False, "box": None},
        ]
    }
}


def kept(task, least_px, path="a.png"):
    return bool(of_size([row(task, path)], SCENES, least_px))


def test_a_light_is_as_large_as_its_governing_head():
    assert kept("traffic_light.state", 12) and not kept("traffic_light.state", 13)


def test_the_smallest_cone_decides():
    assert kept("cone.count", 9) and not kept("cone.count", 10)


def test_what_is_not_seen_or_not_known_stays():
    assert kept("speed_limit.posted", 1000)
    assert kept("cone.count", 1000, path="other.png")
