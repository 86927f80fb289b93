"""A small SigLIP with random weights, in the layout of open_clip's own.

A timm image tower, a text tower that attends to the padding, a tokenizer of transformers, and a bias of the logits.
"""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CustomTextCLIP
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

SIDE = 160
WORDS = ("apple", "pear", "owl", "saw", "glass", "a", "photo", "of")
END, PADDING, UNKNOWN = "</s>", "<pad>", "<unk>"
# As ViT-B-16-SigLIP.json of open_clip has them, but for the sizes and timm's test model.
VISION = {"image_size": SIDE, "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"}
TEXT = {
    **{"context_length": 16, "vocab_size": 16, "width": 96, "heads": 3, "layers": 2},
    **{"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}},
    **{"hf_tokenizer_name": "made-by/a-test", "tokenizer_kwargs": {"clean": "canonicalize"}},
}
MODEL: dict[str, Any] = {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True}
PREPROCESSING = {
    **{"size": SIDE, "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3},
    **{"interpolation": "bicubic", "resize_mode": "squash"},
}


def random_siglip(seed: int = 1, bias: float = -2.0, scale: float = 40.0) -> CustomTextCLIP:
    """In eval mode; `scale` is the factor, not its logarithm."""
    torch.manual_seed(seed)
    model = CustomTextCLIP(MODEL["embed_dim"], {**VISION}, {**TEXT}, init_logit_bias=MODEL["init_logit_bias"])
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
    model.logit_scale.data.fill_(scale).log_()
    model.logit_bias.data.fill_(bias)
    return model.eval().requires_grad_(False)


def save_siglip(model: CustomTextCLIP, folder: Path) -> Path:
    """As `local-dir:` reads it."""
    configuration = {"model_cfg": {**MODEL, "vision_cfg": VISION, "text_cfg": TEXT}, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(configuration))
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """Words to ids, then the end token, as SigLIP's; transformers pads it."""
    vocabulary = {word: number for number, word in enumerate((PADDING, END, UNKNOWN, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(f"$A {END}", None, [(END, vocabulary[END])])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=PADDING, eos_token=END, unk_token=UNKNOWN
    ).save_pretrained(folder)


def reference_probabilities(folder: Path, images: Any, texts: list[str]) -> Any:
    """(N, L) by open_clip alone: its loading, its preprocessing, its tokenizer, and the sigmoid of its logits."""
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = torch.stack([prepare(image) for image in images])
    ids = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
    with torch.inference_mode():
        logits, _ = model.eval().get_logits(pixels, ids)
        return torch.sigmoid(logits).numpy()
