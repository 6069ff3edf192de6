"""Judges of painted pictures: the loop's own scorer, a model as scorer, the held-out scorer, and the rejections."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from drivelet.core.artifacts import Field, ImageArray, Question
from drivelet.core.ports import Scorer, VisionLanguageModel
from drivelet.synth.captions import CONES, LAMP, presence

HUES = {"red": (172, 9), "orange": (9, 19), "yellow": (19, 38), "green": (45, 95)}
"""Colour -> range of OpenCV hue (0..179); red wraps around."""
LAMP_STATES = ("red", "yellow", "green", "none")
PRESENCE = ("0", "some")


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


class ColourShapeScorer:
    """The loop's own scorer: logistic regression on `statistics`, fitted to labelled pictures."""

    name = "colour-shape"

    def __init__(self, images: Sequence[ImageArray], facts: Sequence[Mapping[str, str]]) -> None:
        features = np.stack([statistics(image) for image in images])
        self._models: dict[str, Pipeline] = {}
        for field in (LAMP, CONES):
            known = [i for i, fact in enumerate(facts) if field in fact and fact[field] != "off"]
            labels = [_target(field, facts[i][field]) for i in known]
            if len(set(labels)) > 1:
                model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=400, C=0.3))
                self._models[field] = model.fit(features[known], labels)

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability that the picture shows each fact; 1 / answers where a field was never seen."""
        features = statistics(image)[None]
        scores: dict[str, float] = {}
        for field in (name for name in (LAMP, CONES) if name in facts):
            model, wanted = self._models.get(field), _target(field, facts[field])
            if model is not None and wanted in model.classes_:
                scores[field] = float(model.predict_proba(features)[0][list(model.classes_).index(wanted)])
            else:
                scores[field] = 1 / len(LAMP_STATES if field == LAMP else PRESENCE)
        return scores


def _target(field: str, answer: str) -> str:
    return presence(answer) if field == CONES else answer


class ProbabilityScorer:
    """The held-out scorer's frame: any classifier that gives field -> answer -> probability for pictures.

    Args:
        name: shown in reports.
        probs: pictures -> probabilities, in order.
    """

    def __init__(self, name: str, probs: Callable[[Sequence[ImageArray]], list[dict[str, dict[str, float]]]]) -> None:
        self.name, self._probs = name, probs

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability of each stated fact that the classifier knows."""
        found = self._probs([image])[0]
        return {field: found[field].get(_target(field, facts[field]), 0.0) for field in found if field in facts}


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
    """

    def __init__(self, model: VisionLanguageModel, fields: Mapping[str, Field]) -> None:
        self.name, self._model, self._fields = f"vlm:{model.name}", model, fields

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the probability of the answers that each stated fact allows."""
        names = [name for name in facts if name in self._fields]
        questions = [
            Question(field=name, text=self._fields[name].question, choices=self._fields[name].choices) for name in names
        ]
        answers = self._model.score(image, questions)
        allowed = {name: self._fields[name].parse(_target(name, facts[name])) for name in names}
        return {n: sum(s.probs.get(a, 0.0) for a in allowed[n]) for n, s in zip(names, answers, strict=True)}


class MeanScorer:
    """The mean of several scorers, over those that know the field."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self.name, self._scorers = "+".join(scorer.name for scorer in scorers), tuple(scorers)

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return the mean probability of each fact."""
        found = [scorer.score(image, facts) for scorer in self._scorers]
        fields = {field for scores in found for field in scores}
        return {f: float(np.mean([scores[f] for scores in found if f in scores])) for f in sorted(fields)}


@dataclass(frozen=True, kw_only=True)
class RejectConfig:
    """When a painted picture is thrown away.

    Attributes:
        least_prob: a stated fact below this probability contradicts the text.
        least_sharpness: variance of the Laplacian of the grey picture.
        least_contrast: standard deviation of the grey picture.
        clipped: share of pure black or white pixels above which it is an artefact.
        hash_distance: a perceptual hash at most this far from a kept picture's makes a near-duplicate.
    """

    least_prob: float = 0.5
    least_sharpness: float = 15.0
    least_contrast: float = 8.0
    clipped: float = 0.5
    hash_distance: int = 2


REASONS = ("lamp_contradicts", "cones_contradict", "blurred", "artefact", "duplicate")


def perceptual_hash(image: ImageArray) -> imagehash.ImageHash:
    """Return the DCT hash (64 bits) of a picture."""
    return imagehash.phash(Image.fromarray(image))


def rejection(
    image: ImageArray, scores: Mapping[str, float], kept: Sequence[imagehash.ImageHash], config: RejectConfig
) -> str:
    """Return why a picture is rejected, one of `REASONS`, or an empty string."""
    if scores.get(LAMP, 1.0) < config.least_prob:
        return "lamp_contradicts"
    if scores.get(CONES, 1.0) < config.least_prob:
        return "cones_contradict"
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if float(cv2.Laplacian(grey, cv2.CV_64F).var()) < config.least_sharpness:
        return "blurred"
    if float(grey.std()) < config.least_contrast or float(((grey < 3) | (grey > 252)).mean()) > config.clipped:
        return "artefact"
    own = perceptual_hash(image)
    return "duplicate" if any(own - other <= config.hash_distance for other in kept) else ""
