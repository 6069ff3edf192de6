"""Tiny OWLv2 and Grounding DINO models of random weights, saved as any checkpoint is."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2Processor,
    PreTrainedTokenizerFast,
    SwinConfig,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

WORDS = ("a", "traffic", "cone", "light", "speed", "limit", "sign", "orange")


def save_owl(folder: Path) -> Path:
    """Save an OWLv2 for pictures of 64 x 64 pixels: 16 boxes."""
    vocabulary = {word: n for n, word in enumerate(("<pad>", "<s>", "</s>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [("<s>", 1), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=16,
    )  # fmt: skip
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(vocabulary), "bos_token_id": 1, "eos_token_id": 2}
    config = Owlv2Config(
        text_config=text, vision_config={**sizes, "image_size": 64, "patch_size": 16}, projection_dim=16
    )
    torch.manual_seed(0)
    model = Owlv2ForObjectDetection(config)
    # Boxes near their own patches, where those of random weights lie far outside the picture.
    torch.nn.init.normal_(model.box_head.dense2.weight, std=0.1)
    model.save_pretrained(folder)
    pixels = Owlv2ImageProcessorPil(size={"height": 64, "width": 64})
    Owlv2Processor(image_processor=pixels, tokenizer=fast).save_pretrained(folder)
    return folder


def save_dino(folder: Path) -> Path:
    """Save a Grounding DINO of nine boxes."""
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *WORDS)
    swin = SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    bert = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, num_queries=9, max_text_len=32,
        encoder_layers=1, encoder_ffn_dim=32, encoder_attention_heads=2,
        decoder_layers=2, decoder_ffn_dim=32, decoder_attention_heads=2,
    )  # fmt: skip
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: n for n, word in enumerate(words)}, do_lower_case=True)
    pixels = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128})
    GroundingDinoProcessor(image_processor=pixels, tokenizer=tokenizer).save_pretrained(folder)
    return folder
