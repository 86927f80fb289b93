"""Why a name is no model that can be loaded, and what to name instead. open_clip is imported only for a name of its."""

import re
from collections.abc import Iterator
from pathlib import Path

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.names import (
    CHINESE_CLIP,
    EMOJI,
    HUB,
    LOCAL,
    OPENAI_NAMES,
    OWL,
    TAG,
    TAIYI,
    list_open_clip_names,
    suggest_names,
)

CONFIGS = ("open_clip_config.json", "config.json")  # of folders: open_clip's layout, transformers'
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz", ".onnx", ".gguf", ".h5")
PATH_STARTS = ("/", "./", "../", "~", ".\\", "..\\")
HUB_EXAMPLE = f"{HUB}timm/vit_base_patch32_clip_224.openai"
EXPECTED = {  # after each prefix
    HUB: f"{HUB}ORG/NAME, a repository on the hub, for example {HUB_EXAMPLE}",
    LOCAL: f"{LOCAL}PATH, the folder of a model",
    TAIYI: f"{TAIYI}TEXT,IMAGE, the folders of its two towers",
    CHINESE_CLIP: f"{CHINESE_CLIP}PATH, a folder or a file of weights",
    **{prefix: f"{prefix}PATH-OR-HUB, a folder of transformers' layout or a repository on the hub" for prefix in OWL},
}
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
PASSWORD = re.compile(r"//[^/@]*@")
HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?!datasets/|spaces/)([\w.-]+/[\w.-]+)")
SHOWN_TAGS = 3


def check_name(text: str) -> None:
    """Raise ModelUnavailable for a name that is empty, ends after its prefix, or is an address.

    An empty path would be the current folder.
    """
    if not text.strip():
        raise ModelUnavailable(
            f"the name of the model is empty: give one with --model (CLIP_MODEL), for example {EMOJI}; "
            "`clip-vectorizer models` lists all names"
        )
    prefix = next((each for each in EXPECTED if text.startswith(each)), "")
    rest = text.removeprefix(prefix).strip()
    if not rest:
        raise ModelUnavailable(f"{prefix} has nothing after it; expected {EXPECTED[prefix]}")
    if ADDRESS.match(rest):
        raise ModelUnavailable(explain_address(rest))
    if prefix == HUB and not REPOSITORY.fullmatch(rest):
        raise ModelUnavailable(f"{text} does not name a repository; expected {EXPECTED[HUB]}")


def explain_address(text: str) -> str:
    """Return how to name the model at an address. Its password and what follows a question mark are not shown."""
    shown = PASSWORD.sub("//", text.partition("?")[0])
    if found := HUB_ADDRESS.match(text):
        return f"{shown} is an address, not a name: a repository on the hub is {HUB}{found[1]}"
    return (
        f"{shown} is an address, not a name: download the file first, and name its path, with --architecture where "
        "the file does not contain it"
    )


def explain_name(text: str, path: Path) -> str:
    """Return why `text`, which is no file, names no model."""
    if path.is_dir():
        return explain_folder(path)
    if path.suffix in WEIGHT_SUFFIXES or text.startswith(PATH_STARTS):
        return f"no such file: {text}"
    known = list_open_clip_names()
    if tags := [each for each in known if each.startswith(f"{text}{TAG}")]:
        return (
            f"{text} is an architecture, whose weights are named too: {' or '.join(tags[:SHOWN_TAGS])}; "
            f"`clip-vectorizer models {text}` lists all"
        )
    unknown = suggest_names(text, [EMOJI, *OPENAI_NAMES, *known])
    if len(text.split("/")) == 2 and "did you mean" not in unknown:
        return f"{unknown}; no such file: {text}; a repository on the hub is {HUB}{text}"
    return f"{unknown}; no such file: {text}" if "/" in text else unknown


def explain_folder(folder: Path) -> str:
    """Return how to name the model in `folder`, or that it has none."""
    if has_config(folder):
        return f"{folder} is a folder: name it as {LOCAL}{folder}"
    if inner := next(find_inner_folders(folder), None):
        return f"{folder} is a folder without {' or '.join(CONFIGS)}, but {inner} has one: name that as {LOCAL}{inner}"
    weights = sorted(file for file in folder.iterdir() if file.suffix in WEIGHT_SUFFIXES)
    if weights:
        return f"{folder} is a folder without {' or '.join(CONFIGS)}: name its file {weights[0]}, with --architecture"
    return f"{folder} is a folder without a model: it has neither {' nor '.join(CONFIGS)} nor a file of weights"


def has_config(folder: Path) -> bool:
    try:
        return any((folder / name).is_file() for name in CONFIGS)
    except PermissionError:
        return False


def find_inner_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders with a model right inside of `folder`, and of an entry in the store of the hub's client."""
    for pattern in ("*", "snapshots/*"):
        yield from (each for each in sorted(folder.glob(pattern)) if each.is_dir() and has_config(each))
