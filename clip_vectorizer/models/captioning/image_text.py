"""Models of transformers that write a caption: BLIP and Florence-2 (AutoModelForImageTextToText)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.models.detectors import MORE_FILES, add_breaks, load_processor
from clip_vectorizer.models.devices import check_numbers, hash_weights
from clip_vectorizer.models.grounding.answers import enlarge_tiny
from clip_vectorizer.models.hub_folders import TRANSFORMERS_CONFIG, open_model_folder, read_json
from clip_vectorizer.models.transformers_models import load_model

# What each kind reads beside the picture, by `model_type`: Florence-2 has several tasks, BLIP this one.
PROMPTS: Mapping[str, str | None] = {"blip": None, "florence2": "<CAPTION>"}
CAPTION_FILES = (*MORE_FILES, "added_tokens.json", "generation_config.json")
GENERATION = {"num_beams": 3, "do_sample": False, "max_new_tokens": 40}


class ImageTextCaptioner:
    """Captions of the model's own `generate`, with GENERATION."""

    def __init__(self, name: str, prompt: str | None, model: Any, processor: Any, device: str) -> None:
        self._info = CaptionerInfo(name, hash_weights(model))
        add_breaks(model)
        self._prompt, self._processor = prompt, processor
        self._model, self._device = model.to(device), device

    @property
    def info(self) -> CaptionerInfo:
        return self._info

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence for each picture. Other work may run before each layer."""
        texts = {} if self._prompt is None else {"text": [self._prompt] * len(images)}
        inputs = self._processor(images=list(map(enlarge_tiny, images)), **texts, return_tensors="pt")
        with torch.inference_mode():
            tokens = self._model.generate(**inputs.to(self._device), **GENERATION)
        found: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return [each.strip() for each in found]


def load_image_text(name: str, text: str, device: str) -> ImageTextCaptioner:
    """Load a folder or a repository. Raises ModelUnavailable."""
    folder = open_model_folder(text, more_files=CAPTION_FILES)
    prompt = PROMPTS[read_kind(name, folder)]
    model = load_model(folder, "AutoModelForImageTextToText")
    check_numbers(name, model)
    return ImageTextCaptioner(name, prompt, model, load_processor(folder), device)


def read_kind(name: str, folder: Path) -> str:
    """Return the `model_type`. Raises ModelUnavailable where its captions are not known here."""
    kind = str(read_json(folder / TRANSFORMERS_CONFIG).get("model_type"))
    if kind not in PROMPTS:
        raise ModelUnavailable(
            f"{name}: {folder / TRANSFORMERS_CONFIG} has model_type {kind!r}; captions come from {' or '.join(PROMPTS)}"
        )
    return kind
