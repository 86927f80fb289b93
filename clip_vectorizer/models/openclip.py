"""Loads models of open_clip by name or from files. Importing this module takes seconds, so it is imported late.

Where open_clip finds no weights it warns and continues with random ones; this module raises, except for `::random`.
"""

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.architecture_fit import check_fit
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.load_problems import (
    RANDOM_WEIGHTS_WARNING,
    check_hub,
    find_folder_problem,
    find_hub_problem,
    hide_warning,
)
from clip_vectorizer.models.names import list_open_clip_names, suggest_names, suggest_near_names
from clip_vectorizer.models.openai_weights import has_marks, read_openai_config
from clip_vectorizer.models.openclip_encoder import build_encoder
from clip_vectorizer.models.state_dicts import (
    convert_transformers,
    fill_model,
    find_architectures,
    is_transformers_layout,
    read_quick_gelu,
    select_model,
)
from clip_vectorizer.models.text_towers import describe_text_tower
from clip_vectorizer.models.tokens import TrainedTokenizer
from clip_vectorizer.models.weight_files import (
    NUMPY_SUFFIXES,
    Weights,
    explain_weights,
    is_torchscript,
    read_weights,
    shorten,
)

PREPROCESSING_KEYS = ("mean", "std", "interpolation", "resize_mode")  # of an entry in open_clip's pretrained table
OPENAI_STORE = Path("~/.cache/clip")  # of OpenAI's package `clip`, and of open_clip for weights with an address
RANDOM_WEIGHTS_SEED = 0  # of ARCHITECTURE::random

log = logging.getLogger(__name__)
FetchWeights = Callable[[Mapping[str, Any]], str]
download_weights: FetchWeights = open_clip.download_pretrained


def load_tag(architecture: str, tag: str, placement: Placement, fetch: FetchWeights = download_weights) -> Encoder:
    """Load `ARCHITECTURE::TAG`. Raises ModelUnavailable when it is unknown or its weights cannot be fetched."""
    name = f"{architecture}::{tag}"
    if tag == "random" and architecture in open_clip.list_models():
        return load_random(architecture, placement)
    entry = open_clip.get_pretrained_cfg(architecture, tag)
    if not entry:
        raise ModelUnavailable(suggest_names(name, list_open_clip_names()))
    return load_entry(name, architecture, entry, fetch_weights(name, entry, fetch), placement)


def load_entry(name: str, architecture: str, entry: Mapping[str, Any], weights: str, placement: Placement) -> Encoder:
    """Load weights with the activation (QuickGELU or GELU) and the preprocessing of their entry in open_clip's table.

    A checkpoint contains neither. Raises ModelUnavailable.
    """
    preprocessing = {key: entry[key] for key in PREPROCESSING_KEYS if key in entry}
    if is_torchscript(Path(weights)):
        model = load_weights(Path(weights), architecture, force_preprocess_cfg=preprocessing)
    else:
        quick = bool(entry.get("quick_gelu"))
        model = create_model(name, architecture, weights, force_preprocess_cfg=preprocessing, quick_gelu=quick)
    return build_encoder(name, model, open_clip.get_tokenizer(architecture), placement)


def fetch_weights(name: str, entry: Mapping[str, Any], fetch: FetchWeights) -> str:
    """Return the path of the weights, downloaded or from the cache. Raises ModelUnavailable."""
    source = f"huggingface.co/{entry['hf_hub']}" if entry.get("hf_hub") else entry.get("url", "nowhere")
    log.info("%s: fetching weights from %s, or from the cache", name, source)
    try:
        return fetch(entry)
    except Exception as error:  # each download client raises errors of its own
        if (kept := find_openai_file(entry)).is_file():
            log.info("%s: not from there (%s), but %s is here", name, first_line(error), kept)
            return str(kept)
        raise ModelUnavailable(
            f"{name}: no weights; tried the cache and {source} ({first_line(error)}). Without that network, bring the "
            "file and serve its path with --architecture, a folder as local-dir:PATH (clip-vectorizer models download "
            "makes one elsewhere), or the bundled model emoji"
        ) from error


def find_openai_file(entry: Mapping[str, Any]) -> Path:
    """Return where OpenAI's own package stores the file of an entry; it need not be there."""
    return OPENAI_STORE.expanduser() / Path(entry.get("url", "")).name


def load_random(architecture: str, placement: Placement) -> Encoder:
    """Load the architecture with random weights, the same every time. For load tests only."""
    name = f"{architecture}::random"
    log.warning("%s: RANDOM weights, for load tests only; its vectors mean nothing", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        model = create_model(name, architecture, None, pretrained_text=False)
    return build_encoder(name, model, open_clip.get_tokenizer(architecture), placement)


def load_hub(name: str, placement: Placement) -> Encoder:
    log.info("%s: fetching the model, or reading it from the cache", name)
    check_hub(name)
    try:
        model = create_model(name, name, None, require_pretrained=True)
    except ModelUnavailable as error:
        raise ModelUnavailable(find_hub_problem(name) or str(error)) from error
    return build_encoder(name, model, open_tokenizer(name), placement)


def open_tokenizer(source: str) -> Any:
    """Return open_clip's tokenizer of a `source` that may be anybody's: no code of a repository is run for it.

    A configuration may ask transformers for that in `tokenizer_kwargs`. Raises ModelUnavailable.
    """
    text = (open_clip.get_model_config(source) or {}).get("text_cfg", {})
    options = {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}
    try:
        return open_clip.get_tokenizer(source, **options)
    except Exception as error:  # transformers' are of many kinds
        raise ModelUnavailable(f"{source}: its tokenizer cannot be loaded: {first_line(error)}") from error


def load_local_dir(name: str, folder: Path, placement: Placement, tokenizer: TrainedTokenizer | None = None) -> Encoder:
    """Load a folder of open_clip's layout; with a `tokenizer`, transformers is not imported."""
    source = f"local-dir:{folder}"
    try:
        model = create_model(name, source, None, require_pretrained=True)
    except ModelUnavailable as error:
        raise ModelUnavailable(find_folder_problem(folder) or str(error)) from error
    return build_encoder(name, model, tokenizer or open_tokenizer(source), placement)


def load_checkpoint(file: Path, architecture: str, placement: Placement) -> Encoder:
    """Load a file of weights: open_clip's, a trainer's checkpoint, transformers' layout, or OpenAI's program.

    The activation is the architecture's (`ViT-B-32-quickgelu` has OpenAI's), unless the file states it. OpenAI's files
    need no `architecture`. Raises ModelUnavailable.
    """
    if file.suffix in NUMPY_SUFFIXES:
        check_architecture(file, architecture, {})
        model = create_model(str(file), architecture, str(file))
    else:
        model = load_weights(file, architecture)
    tokenizer = open_clip.get_tokenizer(architecture, context_length=None if architecture else model.context_length)
    return build_encoder(str(file), model, tokenizer, placement)


def load_weights(file: Path, architecture: str, **options: Any) -> nn.Module:
    """Return the model of a file of weights; `options` are of `create_model`. Raises ModelUnavailable."""
    stored = read_weights(file)
    from_openai, weights = has_marks(stored), select_model(stored)
    if from_openai and not architecture:
        return build_openai_model(file, weights)
    transformers = is_transformers_layout(weights)
    weights = convert_transformers(weights) if transformers else weights
    check_architecture(file, architecture, weights)
    check_fit(file, architecture, weights, transformers)
    quick = from_openai or choose_quick_gelu(file, architecture, transformers)
    with hide_warning(RANDOM_WEIGHTS_WARNING):  # they are filled in next
        model = create_model(str(file), architecture, None, pretrained_text=False, quick_gelu=quick, **options)
    fill_model(model, weights, file, architecture, transformers)
    return model


def build_openai_model(file: Path, weights: Weights) -> nn.Module:
    """Return the model of a file of OpenAI's, whose shapes are its architecture. Raises ModelUnavailable."""
    config = read_openai_config(file, weights)
    vocabulary, known = config["text_cfg"]["vocab_size"], open_clip.SimpleTokenizer().vocab_size
    if vocabulary != known:
        raise ModelUnavailable(f"{file} has a vocabulary of {vocabulary:,} tokens; expected OpenAI's {known:,}")
    model: nn.Module = open_clip.CLIP(**config)
    fill_model(model, weights, file, "of OpenAI's shapes")
    return model.float().eval().requires_grad_(False)


def check_architecture(file: Path, architecture: str, weights: Weights) -> None:
    """Raise ModelUnavailable where open_clip has no `architecture`; names those that have the shapes of `weights`."""
    if architecture in open_clip.list_models():
        return
    near = find_architectures(weights)
    fits = f"its shapes are those of {' or '.join(near)}" if near else "for example --architecture ViT-B-32"
    if not architecture:
        raise ModelUnavailable(f"{file} does not contain its architecture: name it with --architecture; {fits}")
    meant = suggest_near_names(architecture, open_clip.list_models())
    lists = "`clip-vectorizer models --random` lists all"
    own = f"; {file}: {fits}" if near else ""
    raise ModelUnavailable(f"open_clip has no architecture {architecture!r}; {meant}{lists}{own}")


def choose_quick_gelu(file: Path, architecture: str, transformers: bool) -> bool:
    """Whether the activation is QuickGELU: OpenAI's programs have it, transformers has it in its configuration."""
    usual = bool((open_clip.get_model_config(architecture) or {}).get("quick_gelu"))
    if is_torchscript(file):
        return True
    if not transformers:
        return usual
    stated = read_quick_gelu(file)
    if stated is None and not usual:
        log.warning(
            "%s: transformers' layout without its config.json: computed with GELU, as %s has it; weights that come "
            "from OpenAI's need QuickGELU: --architecture %s-quickgelu",
            *(file, architecture, architecture),
        )
    return usual if stated is None else stated


def create_model(name: str, source: str, weights: str | None, **options: Any) -> nn.Module:
    """Return a model of open_clip with float32 weights on the CPU. Raises ModelUnavailable."""
    try:
        with warnings.catch_warnings(), describe_text_tower(source) as text_config:
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            model: nn.Module = open_clip.create_model(source, weights, device="cpu", **text_config, **options)
    except Exception as error:  # open_clip does not wrap errors of the hub, the file or the model
        problem = explain_weights(Path(weights) if weights else None)
        raise ModelUnavailable(f"{name} cannot be loaded: {problem or explain_load_error(error)}") from error
    return model.float().eval().requires_grad_(False)


def explain_load_error(error: Exception) -> str:
    """The first line of an error; of weights that do not fit, also the first lines about their names and shapes."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if lines and lines[0].endswith(":"):
        return " ".join(line[:200] for line in lines[:3])
    return shorten(error)


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
