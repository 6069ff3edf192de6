"""Judges of painted pictures: the loop's own scorers, a model as scorer, and the held-out scorer."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from drivelet.core.artifacts import Field, ImageArray, Question
from drivelet.core.ports import Scorer, VisionLanguageModel
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, LIGHTS, presence

HUES = {"red": (172, 9), "orange": (9, 19), "yellow": (19, 38), "green": (45, 95)}
"""Colour -> range of OpenCV hue (0..179); red wraps around."""
LAMP_STATES = ("red", "yellow", "green", "none")
PRESENCE = ("0", "some")
JUDGED = {LAMP: LAMP_STATES, CONES: PRESENCE, LIGHT: LIGHTS}
"""What pictures are judged by: fact -> its answers."""


def statistics(image: ImageArray) -> NDArray[np.float64]:
    """Return colour-and-shape statistics of an RGB picture (H, W, 3).

    For each of four hues and for the upper and lower half: the area of saturated pixels, the brightest such pixel,
    and size, roundness, brightness, contrast to its surroundings and height of the largest blob.
    """
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) if image.shape[0] != 64 else image
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    values: list[float] = [float(grey[:32].mean()), float(grey[32:].mean())]
    for low, high in HUES.values():
        hue = hsv[..., 0]
        inside = (hue >= low) & (hue < high) if low < high else (hue >= low) | (hue < high)
        for strength in (90, 150):
            mask = inside & (hsv[..., 1] > strength) & (hsv[..., 2] > 90)
            for half in (slice(0, 36), slice(28, 64)):
                values += _blob(mask[half], grey[half], hsv[half, :, 2])
    return np.asarray(values, dtype=float)


def _blob(mask: NDArray[np.bool_], grey: NDArray[np.float32], value: NDArray[np.float32]) -> list[float]:
    count, names, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return [0.0] * 9
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, area = (int(v) for v in stats[largest])
    around = grey[max(top - 4, 0) : top + height + 4, max(left - 4, 0) : left + width + 4]
    own = names == largest
    brightness = float(value[own].mean())
    return [
        float(np.log1p(mask.sum())),
        float(np.log1p(area)),
        area / (width * height),
        min(width, height) / max(width, height),
        brightness,
        float(grey[own].mean() - np.percentile(around, 20)),
        float(centres[largest][1]),
        float(count - 1),
        float(value[mask].max()),
    ]


def tones(image: ImageArray) -> NDArray[np.float64]:
    """Return how light and how coloured (CIE Lab) a 4x4 grid of the picture is, and the spread of both over it."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    grid = cv2.resize(lab, (4, 4), interpolation=cv2.INTER_AREA)
    spread = np.percentile(lab.reshape(-1, 3), (2, 10, 25, 50, 75, 90, 98), axis=0)
    return np.concatenate([np.ravel(grid), np.ravel(spread)]).astype(float)


def _by_shape() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=400, C=0.3))


def _by_tone() -> Any:
    # Boosted histograms are as right, but their OpenMP threads crawl beside another busy process.
    return RandomForestClassifier(100, random_state=0)


FEATURES = {LAMP: (statistics, _by_shape), CONES: (statistics, _by_shape), LIGHT: (tones, _by_tone)}
"""Field -> what it is told from, and by which model."""


class ColourShapeScorer:
    """The loop's own scorer: small models of colour and shape, fitted to labelled pictures."""

    name = "colour-shape"

    def __init__(self, images: Sequence[ImageArray], facts: Sequence[Mapping[str, str]]) -> None:
        self._models: dict[str, Any] = {}
        for field, (features, model) in FEATURES.items():
            known = [i for i, fact in enumerate(facts) if field in fact and fact[field] != "off"]
            labels = [judged(field, facts[i][field]) for i in known]
            if len(set(labels)) > 1:
                self._models[field] = model().fit(np.stack([features(images[i]) for i in known]), labels)

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability that the picture shows each fact; 1 / answers where a field was never seen."""
        scores: dict[str, float] = {}
        for field in (name for name in FEATURES if name in facts):
            model, wanted = self._models.get(field), judged(field, facts[field])
            if model is not None and wanted in model.classes_:
                probs = model.predict_proba(FEATURES[field][0](image)[None])[0]
                scores[field] = float(probs[list(model.classes_).index(wanted)])
            else:
                scores[field] = 1 / len(JUDGED[field])
        return scores


def judged(field: str, answer: str) -> str:
    """Return the answer that a fact is judged by: cones by their presence alone."""
    return presence(answer) if field == CONES else answer


class ProbabilityScorer:
    """A scorer from any classifier that gives field -> answer -> probability for pictures.

    Args:
        name: shown in reports.
        probs: pictures -> probabilities, in order.
    """

    def __init__(self, name: str, probs: Callable[[Sequence[ImageArray]], list[dict[str, dict[str, float]]]]) -> None:
        self.name, self._probs = name, probs

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability of each stated fact that the classifier knows."""
        found = self._probs([image])[0]
        return {field: found[field].get(judged(field, facts[field]), 0.0) for field in found if field in facts}


def load_held_out(path: Path) -> Scorer:
    """Return the held-out scorer whose weights `pretrain_painter` trained: a small convolutional classifier.

    Raises:
        InputError: there is no classifier at `path`.
    """
    from drivelet.adapters.crop_classifier import CropClassifier

    return ProbabilityScorer("crop-cnn", CropClassifier.load(path).probs)


class VlmScorer:
    """A vision-language model as scorer: it is asked the field's own question.

    Args:
        model: the model, handed in by the recipe.
        fields: every field by name.
        least_side: smaller pictures are enlarged to this height: models read few tokens badly.
    """

    def __init__(self, model: VisionLanguageModel, fields: Mapping[str, Field], *, least_side: int = 112) -> None:
        self.name, self._model, self._fields = f"vlm:{model.name}", model, fields
        self._least_side = least_side

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability of the answers that each stated fact allows."""
        names = [name for name in facts if name in self._fields]
        questions = [
            Question(field=name, text=self._fields[name].question, choices=self._fields[name].choices) for name in names
        ]
        scale = max(self._least_side / image.shape[0], 1.0)
        shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image
        answers = self._model.score(np.asarray(shown, np.uint8), questions)
        allowed = {name: self._fields[name].parse(judged(name, facts[name])) for name in names}
        return {n: sum(s.probs.get(a, 0.0) for a in allowed[n]) for n, s in zip(names, answers, strict=True)}


class LeastScorer:
    """What several scorers all confirm: the least probability that any of them gives to a fact it knows."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self.name, self._scorers = "+".join(scorer.name for scorer in scorers), tuple(scorers)

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the least probability of each fact."""
        found = [scorer.score(image, facts) for scorer in self._scorers]
        fields = {field for scores in found for field in scores}
        return {field: min(scores[field] for scores in found if field in scores) for field in sorted(fields)}
