"""CoCa of open_clip (Yu et al. 2022): an image tower, and a decoder that writes the caption word by word."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.captioning.beams import BeamRules, search_beams
from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.models.devices import check_numbers, hash_weights
from clip_vectorizer.models.load_problems import find_folder_problem
from clip_vectorizer.models.names import TAG, suggest_near_names
from clip_vectorizer.models.openclip import RANDOM_WEIGHTS_SEED, create_model, fetch_weights
from clip_vectorizer.models.openclip_encoder import read_pixel_recipe
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.preprocess import prepare_pixels

WRITER = "text_decoder"  # the part that CLIP models do not have
OWN_TOKENIZER = open_clip.tokenizer.SimpleTokenizer  # whose start and end `CoCa.generate` takes for granted


class CocaCaptioner:
    """Captions of `CoCa.generate` with its defaults, see `beams`."""

    def __init__(self, name: str, model: Any, tokenizer: Any, device: str) -> None:
        self._info = CaptionerInfo(name, hash_weights(model))
        self._recipe = read_pixel_recipe(name, model)
        self._model, self._tokenizer, self._device = model.to(device), tokenizer, torch.device(device)
        self._rules = BeamRules(tokenizer.sot_token_id, tokenizer.eot_token_id)

    @property
    def info(self) -> CaptionerInfo:
        return self._info

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence for each picture. Other work may run between two words."""
        with torch.inference_mode():
            latent_nd, tokens_ntd = self._model._encode_image(self._prepare(images))  # `generate` calls it too

            def next_logits(tokens_rl: Tensor, owners: Sequence[int]) -> Tensor:
                run_break_work()
                found = {"image_latent": latent_nd[list(owners)], "image_embs": tokens_ntd[list(owners)]}
                outputs = self._model(None, tokens_rl.to(self._device), **found, output_labels=False)
                logits_rv: Tensor = outputs["logits"][:, -1]
                return logits_rv

            found = search_beams(next_logits, len(images), self._rules)
        return [self._tokenizer.decode(tokens).strip() for tokens in found]

    def _prepare(self, images: Sequence[Image.Image]) -> Tensor:
        """(N, 3, S, S), normalised."""
        squares = np.stack([prepare_pixels(image, self._recipe) for image in images])
        pixels_nchw = torch.from_numpy(squares).permute(0, 3, 1, 2).float().div(255)
        mean, std = (torch.tensor(each)[:, None, None] for each in (self._recipe.mean, self._recipe.std))
        return ((pixels_nchw - mean) / std).to(self._device)


def load_coca(name: str, text: str, device: str) -> CocaCaptioner:
    """Load `ARCHITECTURE::TAG`, or a folder of open_clip's layout. Raises ModelUnavailable."""
    source, model = load_tag(name, text) if TAG in text else load_folder(name, Path(text).expanduser())
    if not hasattr(model, WRITER):
        raise ModelUnavailable(f"{name} is a CLIP, which writes no captions; name a CoCa, {format_examples()}")
    check_numbers(name, model)
    return CocaCaptioner(name, model, open_tokenizer(name, source), device)


def load_tag(name: str, text: str) -> tuple[str, Any]:
    """Return the architecture and its model."""
    architecture, _, tag = text.partition(TAG)
    if architecture not in list_architectures():
        raise ModelUnavailable(
            f"{name}: no CoCa is called {architecture}; {suggest_near_names(architecture, list_architectures())}"
            f"there are {', '.join(list_architectures())}"
        )
    if tag == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_WEIGHTS_SEED)
            return architecture, create_model(name, architecture, None)
    entry = open_clip.get_pretrained_cfg(architecture, tag)
    if not entry:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture))
        raise ModelUnavailable(f"{name}: {architecture} has no weights called {tag!r}; there are {tags}")
    return architecture, create_model(name, architecture, fetch_weights(name, entry, open_clip.download_pretrained))


def load_folder(name: str, folder: Path) -> tuple[str, Any]:
    """Return the source and its model, of a folder with open_clip_config.json and weights."""
    source = f"local-dir:{folder}"
    try:
        return source, create_model(name, source, None, require_pretrained=True)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{name}: {find_folder_problem(folder) or error}") from error


def open_tokenizer(name: str, source: str) -> Any:
    """Return CLIP's own tokenizer. Raises ModelUnavailable for a model that has another one."""
    tokenizer = open_clip.get_tokenizer(source)
    if not isinstance(tokenizer, OWN_TOKENIZER):
        raise ModelUnavailable(f"{name} does not have CLIP's tokenizer; name a CoCa that does, {format_examples()}")
    return tokenizer


def list_architectures() -> list[str]:
    return [each for each in open_clip.list_models() if each.startswith("coca")]


def format_examples() -> str:
    return "for example coca:coca_ViT-B-32::mscoco_finetuned_laion2b_s13b_b90k"
