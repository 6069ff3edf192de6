"""A model just loaded answers one question on a small grey picture: files of different models are found out here."""

import numpy as np
import torch

from drivelet.core.errors import InputError
from drivelet.core.model_folder import told
from drivelet.vlm.answers import scoring_branch
from drivelet.vlm.batch import head, hidden_states, pack
from drivelet.vlm.load import Loaded

SIDE = 56
MOST_TOKENS = 16384
"""More vision tokens than any picture should take; Qwen2.5-VL's own limit."""
CHOICES = ("yes", "no")


@torch.inference_mode()
def try_out(loaded: Loaded) -> None:
    """Answer one question.

    Raises:
        InputError: the model cannot, or its logits are no numbers.
    """
    with told(loaded.path, "the model does not fit its processor or tokenizer files"):
        _check_processor(loaded)
        branch = scoring_branch(loaded.processor, "?", CHOICES)
        packed = pack(loaded, np.full((SIDE, SIDE, 3), 128, np.uint8), [branch.nodes]).to(loaded.device)
        vocabulary = loaded.model.get_input_embeddings().num_embeddings
        if int(packed.input_ids_BL.max()) >= vocabulary:
            raise InputError(f"{loaded.path}: the tokenizer knows more words than the model's {vocabulary}")
        logits_V = head(loaded.model)(hidden_states(loaded.model, packed)[0, -1])
    if logits_V.float().log_softmax(-1).isnan().any():
        raise InputError(f"{loaded.path}: the model answers NaN or infinity; it is damaged, or needs another dtype")


def _check_processor(loaded: Loaded) -> None:
    """Compare how pictures are cut up with what the vision tower takes, before a picture is."""
    processor, vision = loaded.processor, getattr(loaded.model.config, "vision_config", None)
    if processor.image_token_id != loaded.model.config.image_token_id:
        raise InputError(f"{loaded.path}: config.json and the tokenizer name different image tokens")
    cut, longest = processor.image_processor, processor.num_tokens_of_size(SIDE, SIDE)
    for ours, theirs in (("patch_size",) * 2, ("temporal_patch_size",) * 2, ("merge_size", "spatial_merge_size")):
        if getattr(cut, ours) != getattr(vision, theirs, getattr(cut, ours)):
            raise InputError(
                f"{loaded.path}: {ours} is {getattr(cut, ours)} in preprocessor_config.json, "
                f"but the model takes {getattr(vision, theirs)}"
            )
    if longest > MOST_TOKENS:
        raise InputError(f"{loaded.path}: preprocessor_config.json makes {longest} tokens of a small picture")
