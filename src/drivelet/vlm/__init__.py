"""Vision-language models behind two Auto classes: loading, processing, packing, LoRA. The only shared home of torch."""
