"""Open-vocabulary detectors: real classes of tiny size, saved and loaded; boxes, kinds and scores as the model gave."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from drivelet.adapters.detectors import DetectorConfig, _boxes, load_detector
from drivelet.core.errors import InputError
from tiny_detectors import save_dino, save_owl

ALL = {"a traffic light": "lamp", "a traffic cone": "cone", "orange cone": "cone", "a speed limit sign": "speed_sign"}
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("detectors")
    return {"owl": save_owl(root / "owl"), "dino": save_dino(root / "dino")}


def everything(**settings):
    return DetectorConfig(**{"queries": ALL, "threshold": 0.0, "overlap": 1.0, **settings})


@pytest.mark.parametrize("kind", ["owl", "dino"])
def test_boxes_lie_in_the_picture_with_kinds_that_were_asked_for(folders, kind):
    detector = load_detector(folders[kind], everything(), device="cpu")
    boxes = detector.detect(IMAGE)
    assert boxes and {box.kind for box in boxes} <= set(ALL.values()) and detector.name == kind
    for box in boxes:
        left, top, right, bottom = box.xyxy
        assert 0 <= left < right <= 96 and 0 <= top < bottom <= 48 and 0 <= box.score <= 1
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    assert detector.detect(IMAGE) == boxes


def raw(folder, texts):
    """The model's own logits and boxes (centre and size in shares of what the model saw)."""
    detector = load_detector(folder, everything(), device="cpu")
    inputs = detector._processor(images=IMAGE, text=[texts], return_tensors="pt")
    with torch.inference_mode():
        outputs = detector._model(**inputs)
    cx, cy, w, h = outputs.pred_boxes[0].numpy().T
    return inputs, outputs.logits[0].sigmoid().numpy(), np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1)


def matched(boxes, corners, scores, kinds):
    """Every box that was found is the model's, with the best score and that text's kind."""
    for box in boxes:
        (place,) = np.flatnonzero(np.abs(corners - np.array(box.xyxy)).max(axis=1) < 0.01)
        assert box.score == pytest.approx(scores[place].max(), abs=1e-5)
        assert box.kind == kinds[int(scores[place].argmax())]


def test_owl_boxes_are_shares_of_the_padded_square(folders):
    _, scores, corners = raw(folders["owl"], list(ALL))
    boxes = load_detector(folders["owl"], everything(), device="cpu").detect(IMAGE)
    assert len(boxes) >= 3
    matched(boxes, (corners * 96).clip(0, [96, 48, 96, 48]), scores, list(ALL.values()))


def test_dino_scores_are_those_of_the_query_s_own_tokens(folders):
    inputs, by_token, corners = raw(folders["dino"], list(ALL))
    words = folders["dino"] / "tokenizer.json"
    vocabulary = json.loads(words.read_text())["model"]["vocab"]
    ids = inputs["input_ids"][0].tolist()
    phrases = [[vocabulary[word] for word in text.split()] for text in ALL]
    starts = np.cumsum([1, *[len(phrase) + 1 for phrase in phrases]])[:-1]
    for start, phrase in zip(starts, phrases, strict=True):
        assert ids[start : start + len(phrase)] == phrase
    scores = np.stack([by_token[:, s : s + len(p)].max(axis=1) for s, p in zip(starts, phrases, strict=True)], axis=1)
    boxes = load_detector(folders["dino"], everything(), device="cpu").detect(IMAGE)
    matched(boxes, (corners * [96, 48, 96, 48]).clip(0, [96, 48, 96, 48]), scores, list(ALL.values()))


@pytest.mark.parametrize("kind", ["owl", "dino"])
def test_a_threshold_leaves_out_what_scores_less(folders, kind):
    boxes = load_detector(folders[kind], everything(), device="cpu").detect(IMAGE)
    middle = sorted(box.score for box in boxes)[len(boxes) // 2]
    above = load_detector(folders[kind], everything(threshold=middle), device="cpu").detect(IMAGE)
    assert above == [box for box in boxes if box.score >= middle] and 0 < len(above) < len(boxes)


@pytest.mark.parametrize("seed", range(5))
def test_of_boxes_of_one_kind_that_overlap_the_better_stays(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (40, 2)).astype(np.float32)
    boxes = np.hstack([corners, corners + rng.uniform(5, 36, (40, 2)).astype(np.float32)])
    scores = rng.uniform(0.05, 1, (40, 3)).astype(np.float32)
    picture = np.zeros((100, 100, 3), np.uint8)
    every = _boxes(boxes, scores, ["cone", "lamp", "cone"], picture, everything())
    kept = []
    for box in every:
        if all(shared(box.xyxy, other.xyxy) <= 0.3 for other in kept if other.kind == box.kind):
            kept.append(box)
    assert len(every) == 40 and 2 < len(kept) < 40
    assert _boxes(boxes, scores, ["cone", "lamp", "cone"], picture, everything(overlap=0.3)) == kept


def shared(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_nothing_above_the_threshold_is_no_box(folders):
    assert load_detector(folders["owl"], everything(threshold=1.0), device="cpu").detect(IMAGE) == []


def test_more_queries_than_the_prompt_holds_are_one_line(folders):
    many = {f"orange cone {'a ' * n}sign": "cone" for n in range(1, 9)}
    detector = load_detector(folders["dino"], everything(queries=many), device="cpu")
    with pytest.raises(InputError, match="ask for fewer"):
        detector.detect(IMAGE)


def test_folders_and_queries_that_are_none_are_one_line(folders, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"no config.json"):
        load_detector(tmp_path, everything())
    with pytest.raises(InputError, match="qwen2_5_vl model; detectors are owlv2"):
        load_detector(tiny_folder, everything())
    (tmp_path / "config.json").write_text((folders["owl"] / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no .safetensors weights"):
        load_detector(tmp_path, everything())
    with pytest.raises(InputError, match="without a full stop"):
        load_detector(folders["owl"], everything(queries={"a cone. a sign": "cone"}))


@pytest.mark.parametrize("kind", ["owl", "dino"])
def test_wrong_weights_are_named(folders, tmp_path, kind):
    for number, (change, said) in enumerate(
        (
            (lambda t: t.pop(max(t)), "lack "),
            (lambda t: t.update(stray=torch.ones(3)), "hold unknown stray"),
            (lambda t: t[max(t)].view(-1)[:1].fill_(torch.nan), "NaN or infinite values in"),
        )
    ):
        copy = shutil.copytree(folders[kind], tmp_path / str(number))
        tensors = load_file(copy / "model.safetensors")
        change(tensors)
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=said):
            load_detector(copy, everything(), device="cpu")
