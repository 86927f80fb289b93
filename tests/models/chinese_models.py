"""Small Chinese CLIPs with random weights, saved with the files, keys and dtypes of the published ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    CLIPConfig,
    CLIPModel,
)

from clip_vectorizer.models.preprocess import OPENAI_MEAN, OPENAI_STD
from tests.models.conformance.weights import randomise
from tests.models.hugging import rows

DIMENSION, SIDE = 16, 32
CHARACTERS = "一张只两个的照片猫狗猪虎老苹果红色大小许多图画和在上"
WORDS = ["a", "photo", "of", "cat", "dog", "##s", "##y", ",", ".", "!", "(", ")", "[", "]", "1", "2", "café"]
VOCABULARY = [
    "[PAD]", *(f"[unused{number}]" for number in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<S>", "<T>",
    *CHARACTERS, *WORDS, *(f"##{character}" for character in CHARACTERS),
]  # fmt: skip
TEXTS = [
    "猫",
    "一张猫的照片。",
    "两只老虎和许多红色的大苹果、在图画上",
    "",
    "a photo of a cat, dogs!",
    "猪 [PAD] 虎",
    "Café 狗",
]
BERT: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 128, "max_position_embeddings": 64, "layer_norm_eps": 1e-12,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": 16,
}  # fmt: skip
CLIP_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
CLIP_PROCESSOR: dict[str, Any] = {  # as openai/clip-vit-base-patch32 has it
    "crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(OPENAI_MEAN), "image_std": list(OPENAI_STD),
    "resample": 3, "size": SIDE,
}  # fmt: skip
SQUASHING = {"do_center_crop": False, "size": {"height": SIDE, "width": SIDE}}
CHINESE_CLIP_PROCESSOR = {**CLIP_PROCESSOR, "feature_extractor_type": "ChineseCLIPFeatureExtractor", **SQUASHING}

PROJECTIONS = {
    "visual_projection.weight": "visual.proj",
    "text_projection.weight": "text_projection",
    "logit_scale": "logit_scale",
}
OPENAI_NAMES = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding": "visual.conv1",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
    "vision_model.encoder.layers": "visual.transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


@dataclass(frozen=True)
class ReferenceModel:
    """transformers' own classes, called as the models' cards have it."""

    tokenizer: BertTokenizer
    text: Any
    image: Any

    def ids(self, texts: Sequence[str], context: int) -> list[list[int]]:
        found: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=context)["input_ids"]
        return found

    def encode_padded(self, texts: Sequence[str], context: int) -> Any:
        """Ids and attention mask, (N, T) each, padded to the longest text."""
        return self.tokenizer(list(texts), padding=True, truncation=True, max_length=context, return_tensors="pt")

    def encode_ids(self, ids_nt: Tensor, **mask: Tensor) -> Any:
        """(N, D), not of unit length."""
        if isinstance(self.text, BertForSequenceClassification):
            return self.text(ids_nt, **mask).logits
        return self.text.get_text_features(ids_nt, **mask)

    def texts(self, texts: Sequence[str], context: int, masked: bool = True) -> np.ndarray:
        """(N, D) unit rows, all texts in one call, padded to the longest."""
        inputs = self.encode_padded(texts, context)
        mask = {"attention_mask": inputs["attention_mask"]} if masked else {}
        with torch.inference_mode():
            return rows(self.encode_ids(inputs["input_ids"], **mask))

    def images(self, pixels_n3ss: Tensor) -> np.ndarray:
        with torch.inference_mode():
            return rows(self.image.get_image_features(pixel_values=pixels_n3ss))


def save_taiyi(
    folder: Path, half: bool = False, num_labels: int = DIMENSION, image_dimension: int = DIMENSION
) -> ReferenceModel:
    """Save `text/`, a pickle with a vocabulary, and `image/`, a CLIPModel with safetensors as OpenAI's on the hub."""
    tower = randomised(BertForSequenceClassification(BertConfig(num_labels=num_labels, **BERT)), 1)
    config = CLIPConfig(vision_config=VISION, text_config=CLIP_TEXT, projection_dim=image_dimension)
    clip = randomised(CLIPModel(config), 2)
    texts, images = folder / "text", folder / "image"
    save_model(tower, texts, safe=False, half=half, numbers="bert.embeddings.position_ids")
    save_model(clip, images, safe=True, half=half, numbers="vision_model.embeddings.position_ids")
    (images / "preprocessor_config.json").write_text(json.dumps(CLIP_PROCESSOR))
    return ReferenceModel(save_vocabulary(texts), tower, clip)


def save_chinese_clip(folder: Path, half: bool = False, width: int = 0) -> ReferenceModel:
    """`width`: of both towers, where it is not the usual one."""
    wide = {"hidden_size": width, "intermediate_size": 4 * width} if width else {}
    config = ChineseCLIPConfig(text_config=BERT | wide, vision_config=VISION | wide, projection_dim=DIMENSION)
    model = randomised(ChineseCLIPModel(config), 3)
    save_model(model, folder, safe=False, half=half, numbers="text_model.embeddings.position_ids")
    (folder / "preprocessor_config.json").write_text(json.dumps(CHINESE_CLIP_PROCESSOR))
    return ReferenceModel(save_vocabulary(folder), model, model)


def save_cn_clip(model: ChineseCLIPModel, file: Path) -> Path:
    """Save the same weights as cn_clip does: one pickle, in half precision, with the epoch and a prefix."""
    state = {f"module.{name}": value.half() for name, value in rename_as_cn_clip(model.state_dict()).items()}
    torch.save({"epoch": 15, "step": 91_935, "name": "pretrain", "state_dict": state}, file)
    save_vocabulary(file.parent)
    return file


def rename_as_cn_clip(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """BERT keeps its names; the image tower and the projections have OpenAI's."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.startswith("text_model."):
            renamed[name.replace("text_model.", "bert.")] = value
        elif name in PROJECTIONS:
            renamed[PROJECTIONS[name]] = value.T.contiguous() if value.ndim == 2 else value
        elif name.startswith("vision_model.") and ".self_attn.q_proj." in name:
            thirds = [weights[name.replace(".q_proj.", f".{letter}_proj.")] for letter in "qkv"]
            renamed[openai_name(name.replace("self_attn.q_proj.", "attn.in_proj_"))] = torch.cat(thirds)
        elif not any(f".self_attn.{letter}_proj." in name for letter in "kv"):
            renamed[openai_name(name)] = value
    return renamed


def openai_name(name: str) -> str:
    for theirs, ours in OPENAI_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def randomised(model: Any, seed: int) -> Any:
    randomise(model, seed)
    return model


def save_model(model: Any, folder: Path, safe: bool, half: bool, numbers: str) -> None:
    """As transformers saves, with the positions 0, 1, 2, ... (`numbers`) that the published files still contain."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    if half:  # rounded in place, so that the reference has the same numbers
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    weights = {name: value.half() if half else value for name, value in model.state_dict().items()}
    weights[numbers] = torch.arange(64)[None]
    if safe:
        save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    else:
        torch.save(weights, folder / "pytorch_model.bin")


def save_vocabulary(folder: Path) -> BertTokenizer:
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY), "utf-8")
    return BertTokenizer.from_pretrained(str(folder))
