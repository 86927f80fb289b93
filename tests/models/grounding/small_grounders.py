"""Small models of transformers that find regions, with random weights, saved as the real ones are on the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BertTokenizer,
    DetrImageProcessor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    OmDetTurboConfig,
    OmDetTurboForObjectDetection,
    OmDetTurboProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    PreTrainedTokenizerFast,
    SwinConfig,
)

WORDS = ("a", "red", "apple", "cat", "dog", "house", "photo", "of", "detect", "the", "green", "with")
CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIDE, PATCH = 32, 8  # of OWL: 16 patches
CONTEXT = 8
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
OWL = {
    "text_config": {**TOWER, "vocab_size": 32, "max_position_embeddings": CONTEXT, "pad_token_id": 0,
                    "bos_token_id": 30, "eos_token_id": 31},
    "vision_config": {**TOWER, "image_size": SIDE, "patch_size": PATCH},
    "projection_dim": 16,
}  # fmt: skip
SWIN = {"image_size": 64, "patch_size": 4, "window_size": 4, "embed_dim": 16, "depths": [1, 1, 1, 1],
        "num_heads": [1, 2, 4, 8], "out_features": ["stage2", "stage3", "stage4"]}  # fmt: skip
DINO = {
    "d_model": 32, "num_queries": 12, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_feature_levels": 4,
    "encoder_n_points": 2, "decoder_n_points": 2, "max_text_len": 24, "disable_custom_kernels": True,
}  # fmt: skip
BERT = {"model_type": "bert", **TOWER, "vocab_size": 64, "max_position_embeddings": 64}
OMDET = {
    "num_queries": 12, "encoder_hidden_dim": 32, "decoder_hidden_dim": 32, "decoder_num_layers": 2,
    "encoder_in_channels": [32, 64, 128], "vision_features_channels": [32, 32, 32], "encoder_attention_heads": 2,
    "decoder_num_heads": 2, "encoder_dim_feedforward": 32, "decoder_dim_feedforward": 32,
    "task_encoder_hidden_dim": 32, "class_embed_dim": 16, "text_projection_in_dim": 16,
    "text_projection_out_dim": 16, "disable_custom_kernels": True, "image_size": 64,
    "apply_layernorm_after_vision_backbone": False,
}  # fmt: skip


def save_owlv2(folder: Path) -> Path:
    model = randomised(Owlv2ForObjectDetection(Owlv2Config(**OWL)))
    pixels = Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE})
    return save(folder, model, Owlv2Processor(pixels, clip_tokenizer()))


def save_owlvit(folder: Path) -> Path:
    model = randomised(OwlViTForObjectDetection(OwlViTConfig(**OWL)))
    pixels = OwlViTImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    return save(folder, model, OwlViTProcessor(pixels, clip_tokenizer()))


def save_grounding_dino(folder: Path) -> Path:
    return save_dino(folder, GroundingDinoForObjectDetection, GroundingDinoConfig)


def save_mm_grounding_dino(folder: Path) -> Path:
    return save_dino(folder, MMGroundingDinoForObjectDetection, MMGroundingDinoConfig)


def save_dino(folder: Path, model: Any, config: Any) -> Path:
    made = model(config(**DINO, backbone_config=SwinConfig(**SWIN), text_config=BERT))
    pixels = GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*BERT_SPECIAL, ".", "?", *WORDS]))
    return save(folder, randomised(made), GroundingDinoProcessor(pixels, BertTokenizer.from_pretrained(str(folder))))


def save_omdet_turbo(folder: Path) -> Path:
    text = {"model_type": "clip_text_model", **TOWER, "vocab_size": 32, "max_position_embeddings": 77,
            "projection_dim": 16, "pad_token_id": 0, "bos_token_id": 30, "eos_token_id": 31}  # fmt: skip
    model = OmDetTurboForObjectDetection(
        OmDetTurboConfig(**OMDET, backbone_config=SwinConfig(**SWIN), text_config=text)
    )
    pixels = DetrImageProcessor(size={"height": 64, "width": 64}, do_pad=False)
    return save(folder, randomised(model), OmDetTurboProcessor(pixels, clip_tokenizer(context=77)))


GROUNDERS: dict[str, Callable[[Path], Path]] = {
    "owlv2:": save_owlv2,
    "owlvit:": save_owlvit,
    "grounding-dino:": save_grounding_dino,
    "mm-grounding-dino:": save_mm_grounding_dino,
    "omdet-turbo:": save_omdet_turbo,
}


def clip_tokenizer(context: int = CONTEXT) -> PreTrainedTokenizerFast:
    """Words to ids between the two marks of CLIP, the end of which is the largest id."""
    words = {word: number for number, word in enumerate(("!", ",", ".", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel({**words, CLIP_START: 30, CLIP_END: 31}, unk_token="!"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(CLIP_START, 30), (CLIP_END, 31)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{CLIP_START} $A {CLIP_END}", None, marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{"pad_token": "!", "bos_token": CLIP_START, "eos_token": CLIP_END, "unk_token": "!"},
        model_max_length=context,
    )


def randomised(model: Any) -> Any:
    """Weights large enough that scores and boxes differ."""
    torch.manual_seed(3)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return model.eval().requires_grad_(False)


def save(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
