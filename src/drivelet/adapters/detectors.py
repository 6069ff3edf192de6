"""Open-vocabulary detectors through transformers: OWLv2 and Grounding DINO find what a text names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Box, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite
from drivelet.core.model_folder import check_folder, check_loaded, told
from drivelet.core.ranges import Share, ranged

QUERIES = {
    "a traffic light": "lamp",
    "a traffic cone": "cone",
    "a speed limit sign": "speed_sign",
}
OWL = ("owlv2", "owlvit")
DINO = ("grounding-dino", "mm-grounding-dino")

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
@ranged
class DetectorConfig:
    """Settings of an open-vocabulary detector.

    Attributes:
        queries: text to look for -> kind of the box; several texts may stand for one kind. Texts hold no full stop.
        threshold: boxes that score less are left out.
        overlap: of two boxes of one kind whose intersection over union is larger, the better stays.
    """

    queries: Mapping[str, str] = field(default_factory=lambda: dict(QUERIES))
    threshold: Share = 0.15
    overlap: Share = 0.5


class OpenVocabularyDetector:
    """A text-conditioned detector. Implements `core.ports.Detector`; scores are the model's own, as it was trained.

    OWLv2: Minderer et al. 2023, arXiv 2306.09683. Grounding DINO: Liu et al. 2023, arXiv 2303.05499.
    """

    def __init__(self, model: Any, processor: Any, *, name: str, config: DetectorConfig) -> None:
        self.name, self.config = name, config
        self._model, self._processor = model, processor

    def detect(self, image: ImageArray) -> list[Box]:
        """Return what it sees on an RGB image (H, W, 3), the likeliest first."""
        import torch

        texts = list(self.config.queries)
        inputs = self._processor(images=image, text=[texts], return_tensors="pt").to(self._model.device)
        is_owl = self._model.config.model_type in OWL
        spans = [] if is_owl else self._spans(inputs["input_ids"][0].tolist(), len(texts))
        with torch.inference_mode():
            outputs = self._model(**inputs)
        scores_NT = outputs.logits[0].sigmoid()
        if not is_owl:
            # A box is about a text as much as about the text's best token.
            scores_NT = torch.stack([scores_NT[:, span].amax(dim=1) for span in spans], dim=1)
        # All boxes, without the texts that transformers would give them: a text threshold that no token reaches.
        how = {"threshold": -1.0, "target_sizes": [image.shape[:2]]}
        how |= {} if is_owl else {"input_ids": inputs["input_ids"], "text_threshold": 2.0}
        boxes_N4 = self._processor.post_process_grounded_object_detection(outputs, **how)[0]["boxes"]
        kinds = [self.config.queries[text] for text in texts]
        return _boxes(boxes_N4.float().cpu().numpy(), scores_NT.float().cpu().numpy(), kinds, image, self.config)

    def _spans(self, ids: Sequence[int], count: int) -> list[slice]:
        """Return where each text lies in the prompt `[CLS] text . text . [SEP]`."""
        if len(ids) > self._model.config.max_text_len:
            raise InputError(f"{self.name}: its prompt does not hold all {count} queries; ask for fewer")
        stop = self._processor.tokenizer.convert_tokens_to_ids(".")
        ends = [place for place, token in enumerate(ids) if token == stop]
        return [slice(start + 1, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def load_detector(folder: Path, config: DetectorConfig, *, device: str | None = None) -> OpenVocabularyDetector:
    """Load a detector that `save_pretrained` wrote, in float32; with torchvision or, by PIL and NumPy, without.

    Raises:
        InputError: the folder is missing or holds no such detector, or its weights are not safetensors.
    """
    import torch
    from transformers import AutoConfig, AutoModelForZeroShotObjectDetection, AutoProcessor
    from transformers.utils import logging

    if not config.queries or any("." in text or not text.strip() for text in config.queries):
        raise InputError("detector: give at least one query, each a few words without a full stop")
    check_folder(folder)
    logging.disable_progress_bar()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with told(folder, "no detector that transformers can load"):
        kind = AutoConfig.from_pretrained(folder, **local).model_type
        if kind not in (*OWL, *DINO):
            raise InputError(f"{folder}: a {kind} model; detectors are {', '.join((*OWL, *DINO))}")
        processor = AutoProcessor.from_pretrained(folder, **local)
        model: Any
        model, info = AutoModelForZeroShotObjectDetection.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **local,
        )
        check_loaded(folder, info)
    check_finite(folder, model.state_dict().items())
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return OpenVocabularyDetector(model.to(device).eval(), processor, name=folder.name, config=config)


def _boxes(
    boxes_N4: Floats, scores_NT: Floats, kinds: Sequence[str], image: ImageArray, config: DetectorConfig
) -> list[Box]:
    """Give each box the kind of its best text, cut it to the image, and keep the best of those that overlap."""
    height, width = image.shape[:2]
    boxes_N4 = boxes_N4.clip(0, [width, height, width, height])
    best_N, score_N = scores_NT.argmax(axis=1), scores_NT.max(axis=1)
    sides_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    names = sorted(set(kinds))
    kind_N = np.array([names.index(kinds[int(best)]) for best in best_N])
    seen = np.flatnonzero((score_N >= config.threshold) & (sides_N2 >= 1).all(axis=1))
    if not len(seen):
        return []
    corners_N4 = np.hstack([boxes_N4[:, :2], sides_N2])[seen]
    # Those below the threshold are out already; OpenCV would leave out the ones that just reach it.
    kept = cv2.dnn.NMSBoxesBatched(
        corners_N4.tolist(), score_N[seen].tolist(), kind_N[seen].tolist(), 0.0, config.overlap
    )
    found = seen[np.asarray(kept, dtype=int).ravel()]
    return [_box(names[kind_N[n]], boxes_N4[n], score_N[n]) for n in sorted(found, key=lambda n: -score_N[n])]


def _box(kind: str, corners_4: Floats, score: float) -> Box:
    left, top, right, bottom = (float(value) for value in corners_4)
    return Box(kind=kind, xyxy=(left, top, right, bottom), score=float(score))
