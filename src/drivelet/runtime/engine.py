"""The engine: the image is encoded once, and all fields are answered in one forward over a shared prefix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from drivelet.core.artifacts import ImageArray, Question, Scored
from drivelet.core.errors import InputError
from drivelet.vlm.answers import ScoringBranch, scoring_branch
from drivelet.vlm.batch import Packed, head, hidden_states, pack
from drivelet.vlm.load import Loaded, load


class Engine:
    """A loaded model that scores closed answer sets from logits, without sampling.

    Implements `core.ports.VisionLanguageModel`. Every question is a branch of the image's prefix, every answer a path
    below its question (`vlm/batch.py`), so the vision tower and the prefix run once a frame, however many fields are
    asked.
    """

    def __init__(self, loaded: Loaded, *, name: str | None = None) -> None:
        self.loaded = loaded
        self.name = name or loaded.path.name

    @property
    def dtype(self) -> str:
        """The kind of number that it computes with."""
        return str(self.loaded.model.dtype).removeprefix("torch.")

    @classmethod
    def from_pretrained(cls, reference: str | Path, *, dtype: torch.dtype | None = None) -> "Engine":
        """Load a model folder (or hub id) and wrap it."""
        return cls(load(reference, dtype=dtype))

    @torch.inference_mode()
    def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
        """Answer all questions about one image of shape (height, width, 3); one result a question, in order."""
        if not questions:
            return []
        processor = self.loaded.processor
        branches = [scoring_branch(processor, question.text, question.choices) for question in questions]
        packed = pack(self.loaded, image, [branch.nodes for branch in branches]).to(self.loaded.device)
        return [
            _scored(self.name, question, branch, logits_NV)
            for question, branch, logits_NV in zip(
                questions, branches, decision_logits(self.loaded, packed, branches), strict=True
            )
        ]

    @torch.inference_mode()
    def generate(self, image: ImageArray, text: str, *, max_new_tokens: int = 12) -> str:
        """Answer one question by the model's own greedy `generate`, for comparison and free text."""
        processor = self.loaded.processor
        pixel_values, grid_thw = processor.pixels(image)
        packed = pack(self.loaded, image, [])
        ids = [*packed.input_ids_BL[0].tolist(), *processor.tokens(text), *processor.suffix_ids]
        input_ids = torch.tensor([ids], device=self.loaded.device)
        output = self.loaded.model.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            mm_token_type_ids=(input_ids == processor.image_token_id).int(),
            pixel_values=pixel_values.to(self.loaded.device),
            image_grid_thw=grid_thw.to(self.loaded.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
        return processor.tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)


def decision_logits(loaded: Loaded, packed: Packed, branches: Sequence[ScoringBranch]) -> list[torch.Tensor]:
    """Return for each branch of a one-image batch the logits at its decisions, shape (N, V), in float32."""
    hidden_LD = hidden_states(loaded.model, packed)[0]
    starts = np.cumsum([0] + [len(branch.nodes) for branch in branches[:-1]])
    first = int((packed.branch_BL[0] == -1).sum())
    rows = [first + start + torch.tensor(branch.decisions) for start, branch in zip(starts, branches, strict=True)]
    logits_NV = head(loaded.model)(hidden_LD[torch.cat(rows).to(hidden_LD.device)]).float()
    return list(logits_NV.split([len(row) for row in rows]))


def _scored(name: str, question: Question, branch: ScoringBranch, logits_NV: torch.Tensor) -> Scored:
    """The answer is the likeliest: a greedy walk over tokens shared by several answers may end elsewhere.

    Raises:
        InputError: the answers have no probabilities, for logits are NaN or infinite.
    """
    log_probs_NV = logits_NV.log_softmax(-1)
    log_probs_C = branch.trie.log_probs(log_probs_NV)
    # A vocabulary padded with -inf is no fault; NaN and +inf spread over their row.
    if log_probs_NV.isnan().any() or not log_probs_C.logsumexp(0).isfinite():
        raise InputError(
            f"{name}: the logits of {question.field} are NaN or infinite; the model is damaged, "
            "or its values are too large for its dtype"
        )
    probs_C = log_probs_C.double().softmax(0)
    best = int(probs_C.argmax())
    return Scored(
        field=question.field,
        answer=branch.trie.choices[best],
        probs=dict(zip(branch.trie.choices, probs_C.tolist(), strict=True)),
        log_mass=float(log_probs_C.logsumexp(0)),
        in_set=branch.trie.is_greedy(best, log_probs_NV),
    )
