"""Folders of models by their path, or by the name of a repository on the Hugging Face hub (ORG/NAME)."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from clip_vectorizer.errors import ModelUnavailable

TRANSFORMERS_CONFIG = "config.json"
WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")  # transformers' own, the first is taken
SIDE_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")

log = logging.getLogger(__name__)
FetchFile = Callable[[str, str], str]  # a repository and a file in it; returns its path on this machine


def open_model_folder(text: str, fetch: FetchFile = hf_hub_download, more_files: Sequence[str] = ()) -> Path:
    """Return the folder that `text` names, downloaded if it is a repository's. Raises ModelUnavailable.

    `more_files`: those beside SIDE_FILES that are taken where the repository has them.
    """
    folder = Path(text).expanduser()
    if folder.exists():
        return folder
    if len(text.split("/")) != 2 or text.startswith((".", "/", "~")):
        raise ModelUnavailable(f"no such folder: {text}")
    log.info("%s: fetching the model, or reading it from the cache", text)
    try:
        config = fetch(text, TRANSFORMERS_CONFIG)
        fetch_first(text, WEIGHT_NAMES, fetch)
        for name in (*SIDE_FILES, *more_files):
            fetch_first(text, [name], fetch, needed=False)
    except Exception as error:  # the hub's client raises errors of several libraries
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnavailable(
            f"{text} is neither a folder nor could it be fetched from the hub ({line}); "
            "bring the folder to this machine and give its path"
        ) from error
    return Path(config).parent


def fetch_first(repository: str, names: Sequence[str], fetch: FetchFile, needed: bool = True) -> None:
    """Fetch the first of `names` that the repository has. Raises EntryNotFoundError: it has none, and one is needed.

    Without a network only the cache is read, where a missing file is the same error.
    """
    for name in names:
        try:
            fetch(repository, name)
            return
        except EntryNotFoundError:
            if needed and name == names[-1]:
                raise


def find_weight_file(folder: Path) -> Path:
    """Return transformers' file of weights in `folder`. Raises ModelUnavailable where it has none."""
    found = next((file for name in WEIGHT_NAMES if (file := folder / name).is_file()), None)
    if not found:
        raise ModelUnavailable(f"{folder} has no weights: neither {' nor '.join(WEIGHT_NAMES)}")
    return found


def read_json(file: Path) -> dict[str, Any]:
    """Return the configuration in `file`. Raises ModelUnavailable."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ModelUnavailable(f"{file} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ModelUnavailable(f"{file} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelUnavailable(f"{file} is not a configuration: expected a JSON object")
    return content
