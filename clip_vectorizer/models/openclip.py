"""Models of open_clip, from wherever it finds weights. Importing this takes seconds: only loaders do.

open_clip warns and goes on with random weights where none are found; nothing here does, but what is called `random`.
"""

import logging
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.names import near, open_clip_names
from clip_vectorizer.models.openclip_towers import encoder_of
from clip_vectorizer.models.placement import Placement
from clip_vectorizer.models.tokens import OwnTokenizer

log = logging.getLogger(__name__)
PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")  # of an entry in open_clip's pretrained table
SEED = 0  # of ARCHITECTURE::random
Fetch = Callable[[Mapping[str, Any]], str]
DOWNLOAD: Fetch = open_clip.download_pretrained


def load_tag(architecture: str, tag: str, placement: Placement, fetch: Fetch = DOWNLOAD) -> Encoder:
    """`ARCHITECTURE::TAG`. Raises ModelUnavailable when it is unknown or its weights cannot be fetched."""
    name = f"{architecture}::{tag}"
    if tag == "random" and architecture in open_clip.list_models():
        return load_random(architecture, placement)
    entry = open_clip.get_pretrained_cfg(architecture, tag)
    if not entry:
        raise ModelUnavailable(near(name, open_clip_names()))
    return load_entry(name, architecture, entry, fetched(name, entry, fetch), placement)


def load_entry(name: str, architecture: str, entry: Mapping[str, Any], weights: str, placement: Placement) -> Encoder:
    """Weights with their entry of the pretrained table, which knows what a checkpoint does not say:

    the activation (QuickGELU or GELU) and the preprocessing it was trained with.
    """
    preprocessing = {key: entry[key] for key in PREPROCESSING if key in entry}
    quick = bool(entry.get("quick_gelu"))
    model = created(name, architecture, weights, force_preprocess_cfg=preprocessing, quick_gelu=quick)
    return encoder_of(name, model, open_clip.get_tokenizer(architecture), placement)


def fetched(name: str, entry: Mapping[str, Any], fetch: Fetch) -> str:
    """The path of the weights, downloaded or from the cache."""
    source = f"huggingface.co/{entry['hf_hub']}" if entry.get("hf_hub") else entry.get("url", "nowhere")
    log.info("%s: fetching weights from %s, or from the cache", name, source)
    try:
        return fetch(entry)
    except Exception as error:  # every client below raises its own kinds
        raise ModelUnavailable(
            f"{name}: no weights; tried the cache and {source} ({first_line(error)}). Without that network, bring the "
            "file and serve its path with --architecture, a folder as local-dir:PATH, or the bundled model emoji"
        ) from error


def load_random(architecture: str, placement: Placement) -> Encoder:
    """The architecture with random weights, the same every time. For load tests: its vectors mean nothing."""
    name = f"{architecture}::random"
    log.warning("%s: RANDOM weights, for load tests only; its vectors mean nothing", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = created(name, architecture, None, pretrained_text=False)
    return encoder_of(name, model, open_clip.get_tokenizer(architecture), placement)


def load_hub(name: str, placement: Placement) -> Encoder:
    log.info("%s: fetching the model, or reading it from the cache", name)
    model = created(name, name, None, require_pretrained=True)
    return encoder_of(name, model, open_clip.get_tokenizer(name), placement)


def load_local_dir(name: str, folder: Path, placement: Placement, tokenizer: OwnTokenizer | None = None) -> Encoder:
    """A folder of open_clip's layout; a `tokenizer` of ours spares the import of transformers."""
    source = f"local-dir:{folder}"
    model = created(name, source, None, require_pretrained=True)
    return encoder_of(name, model, tokenizer or open_clip.get_tokenizer(source), placement)


def load_checkpoint(file: Path, architecture: str, placement: Placement) -> Encoder:
    """A file of weights. Its activation is the architecture's: `ViT-B-32-quickgelu` has OpenAI's."""
    if architecture not in open_clip.list_models():
        known = near(architecture, open_clip.list_models()) if architecture else "name it with --architecture"
        raise ModelUnavailable(f"{file} does not say its architecture: {known}, for example --architecture ViT-B-32")
    original = is_torchscript(file)  # as OpenAI published them: a program, with QuickGELU inside
    options = {"weights_only": False, "quick_gelu": True} if original else {}
    model = created(str(file), architecture, str(file), **options)
    return encoder_of(str(file), model, open_clip.get_tokenizer(architecture), placement)


def is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any("/code/" in entry for entry in archive.namelist())


def created(name: str, source: str, weights: str | None, **options: Any) -> nn.Module:
    """A model of open_clip with float32 weights on the CPU. Raises ModelUnavailable."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            model: nn.Module = open_clip.create_model(source, weights, device="cpu", **options)
    except Exception as error:  # open_clip passes on whatever the hub, the file or the model raised
        raise ModelUnavailable(f"{name} cannot be loaded: {first_line(error)}") from error
    return model.float().eval().requires_grad_(False)


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
