"""transformers' folders: CLIP and SigLIP with their configurations, weights in one file or several, processor files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import Tensor

from clip_vectorizer.models.catalog import ModelName
from tests.models.conformance import small_tokenizers
from tests.models.conformance.agreement import Format, Reference, SavedModel
from tests.models.conformance.weights import randomise

CLIP_REFERENCE, SIGLIP_REFERENCE = "`transformers.CLIPModel`", "`transformers.SiglipModel`"
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SIDE = 64
OPENAI_PROCESSOR = {  # as in OpenAI's repositories, of 2021
    **{"crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3, "size": SIDE},
    **{"feature_extractor_type": "CLIPFeatureExtractor", "image_mean": MEAN, "image_std": STD},
}
LATER_PROCESSOR = {  # as in laion's repositories
    **{"crop_size": {"height": SIDE, "width": SIDE}, "size": {"shortest_edge": SIDE}, "resample": 3},
    **{"do_center_crop": True, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True},
    **{"image_processor_type": "CLIPImageProcessor", "image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255},
}
SIGLIP_PROCESSOR = {
    **{"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    **{"image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor", "resample": 3},
    **{"rescale_factor": 1 / 255, "size": {"height": SIDE, "width": SIDE}},
}
SIGLIP2_PROCESSOR = {**SIGLIP_PROCESSOR, "resample": 2}
TOWER = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGES = {**TOWER, "image_size": SIDE, "patch_size": 16}


def clip_config(activation: str = "quick_gelu", end: int = 49407, images: str | None = None, **text: Any) -> Any:
    words = {**TOWER, "vocab_size": 49408, "max_position_embeddings": 77, "hidden_act": activation, **text}
    return transformers.CLIPConfig(
        text_config={**words, "bos_token_id": 49406, "eos_token_id": end, "pad_token_id": 1},
        vision_config={**IMAGES, "hidden_act": images or activation},
        projection_dim=48,
    )


def siglip_config(vocabulary: int) -> Any:
    marks = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 1, "projection_size": 64}
    words = {**TOWER, "vocab_size": vocabulary, "max_position_embeddings": 64, **marks}
    return transformers.SiglipConfig(text_config=words, vision_config=IMAGES)


def save_folder(folder: Path, model: Any, tokenizer: Any, processor: Mapping[str, Any], shards: str, kind: str) -> None:
    """Save what a repository on the hub has."""
    model.save_pretrained(folder, max_shard_size=shards)
    if kind == "bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")


def build_reference(
    folder: Path, images: Any, tokenize: Callable[[list[str]], Tensor], encode_text: Callable[[Tensor], Any]
) -> Reference:
    """`folder`: of the image processor; `images`: transformers' model with the image tower."""
    processors: Any = transformers.AutoImageProcessor  # untyped
    processor = processors.from_pretrained(folder, backend="pil")

    def transform(picture: Image.Image) -> Tensor:
        pixels: Tensor = processor(picture, return_tensors="pt").pixel_values[0]
        return pixels

    return Reference(
        tokenize=tokenize,
        transform=transform,
        mean=processor.image_mean,
        std=processor.image_std,
        encode_text=encode_text,
        encode_image=lambda pixels: images.get_image_features(pixel_values=pixels),
    )


def read_reference(folder: Path, model_class: Any, length: int) -> Reference:
    """The model and the tokenizer that transformers reads from `folder`; texts have `length` tokens."""
    model = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def tokenize(texts: list[str]) -> Tensor:
        ids: Tensor = tokenizer(
            texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).input_ids
        return ids

    return build_reference(folder, model, tokenize, lambda ids: model.get_text_features(input_ids=ids))


def save_clip(
    make_config: Callable[[], Any],
    processor: Mapping[str, Any] = LATER_PROCESSOR,
    dtype: torch.dtype = torch.float32,
    shards: str = "5GB",
    kind: str = "safetensors",
) -> Callable[[Path], SavedModel]:
    def save(folder: Path) -> SavedModel:
        model: Any = transformers.CLIPModel(make_config())
        randomise(model)
        save_folder(folder, model.to(dtype), small_tokenizers.clip_tokenizer(), processor, shards, kind)
        return SavedModel(ModelName(f"local-dir:{folder}"), read_reference(folder, transformers.CLIPModel, 77))

    return save


def save_siglip(tokenizer: Callable[[], Any], processor: Mapping[str, Any]) -> Callable[[Path], SavedModel]:
    def save(folder: Path) -> SavedModel:
        made = tokenizer()
        model = transformers.SiglipModel(siglip_config(len(made)))
        randomise(model)
        save_folder(folder, model, made, processor, "5GB", "safetensors")
        return SavedModel(ModelName(f"local-dir:{folder}"), read_reference(folder, transformers.SiglipModel, 64))

    return save


FORMATS = [
    Format(
        "transformers' CLIP, OpenAI's files of 2021",
        CLIP_REFERENCE,
        save_clip(lambda: clip_config(end=2), OPENAI_PROCESSOR),
    ),
    Format(
        "transformers' CLIP, GELU, safetensors of float16",
        CLIP_REFERENCE,
        save_clip(lambda: clip_config("gelu"), dtype=torch.float16),
    ),
    Format("transformers' CLIP, `pytorch_model.bin`", CLIP_REFERENCE, save_clip(clip_config, kind="bin")),
    Format(
        "transformers' CLIP, several safetensors with an index", CLIP_REFERENCE, save_clip(clip_config, shards="5MB")
    ),
    Format(
        "transformers' CLIP that open_clip cannot compute",
        CLIP_REFERENCE,
        save_clip(lambda: clip_config("gelu", images="quick_gelu")),
    ),
    Format("transformers' SigLIP", SIGLIP_REFERENCE, save_siglip(small_tokenizers.t5_tokenizer, SIGLIP_PROCESSOR)),
    Format(
        "transformers' SigLIP 2 of a fixed size",
        SIGLIP_REFERENCE,
        save_siglip(small_tokenizers.gemma_tokenizer, SIGLIP2_PROCESSOR),
    ),
]
