"""Why open_clip could not load a model: looked for afterwards, so that what loads is not read twice."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import open_clip

from clip_vectorizer.models.facts import WEIGHT_NAMES
from clip_vectorizer.models.hub_files import Hub
from clip_vectorizer.models.state_dicts import adapt_weights, describe_mismatch
from clip_vectorizer.models.weight_files import explain_weights, read_weights

CONFIG, HUB_PREFIX = "open_clip_config.json", "hf-hub:"
HUB_WEIGHTS = WEIGHT_NAMES[::-1]  # in open_clip's order
FOLDER_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
RANDOM_WEIGHTS_WARNING = "Model initialized randomly"  # open_clip's


def find_folder_problem(folder: Path) -> str:
    """Return why the weights in `folder` are not those of its configuration; "" where nothing is found."""
    files = sorted(file for file in folder.iterdir() if file.suffix in FOLDER_WEIGHTS)
    if not files:
        return f"{folder} has a configuration and no weights: expected {' or '.join(HUB_WEIGHTS)}"
    file = next((folder / name for name in HUB_WEIGHTS if folder / name in files), files[0])
    return explain_weights(file) or explain_misfit(folder, file)


def explain_misfit(folder: Path, file: Path) -> str:
    """Return the first tensors in `file` that do not fit the configuration in `folder`; "" if all do."""
    try:
        with hide_warning(RANDOM_WEIGHTS_WARNING):
            model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
        problem = describe_mismatch(model.state_dict(), adapt_weights(model, read_weights(file)))
    except Exception:  # the configuration is the problem, and the error of the first attempt is about it
        return ""
    return f"{file} does not fit {folder / CONFIG}: {problem}" if problem else ""


def find_hub_problem(name: str) -> str:
    """Return what is wrong with the weights of `hf-hub:ORG/NAME` in the hub's store; "" where nothing is found."""
    repository = name.removeprefix(HUB_PREFIX)
    files = (Hub().find_cached(repository, name) for name in HUB_WEIGHTS)
    return explain_weights(next((file for file in files if file), None))


@contextmanager
def hide_warning(text: str) -> Iterator[None]:
    """Hide messages with `text` of open_clip, which logs to the root logger."""

    def differs(record: logging.LogRecord) -> bool:
        return text not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(differs)
    try:
        yield
    finally:
        root.removeFilter(differs)
