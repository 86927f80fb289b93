"""Why open_clip could not load a model: looked for afterwards, so that what loads is not read twice."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import open_clip

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.facts import WEIGHT_NAMES
from clip_vectorizer.models.hub_files import Hub, HubUnreachable, NoSuchHubFile, NotInHubStore
from clip_vectorizer.models.state_dicts import adapt_weights, describe_mismatch
from clip_vectorizer.models.weight_files import explain_weights, read_weights

CONFIG, HUB_PREFIX = "open_clip_config.json", "hf-hub:"
HUB_WEIGHTS = WEIGHT_NAMES[::-1]  # in open_clip's order
FOLDER_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
DEFAULT_HUB = Hub()
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


def check_hub(name: str, hub: Hub = DEFAULT_HUB) -> None:
    """Raise ModelUnavailable where the configuration of `hf-hub:ORG/NAME` is neither stored here nor on the hub.

    open_clip would wait for the hub several times, and name the file alone. ORG/NAME@REVISION is left to it.
    """
    if "@" not in name and (problem := explain_absence(name, (CONFIG,), hub)):
        raise ModelUnavailable(problem)


def find_hub_problem(name: str, hub: Hub = DEFAULT_HUB) -> str:
    """Return what is wrong with the weights of `hf-hub:ORG/NAME`; "" where nothing is found."""
    repository = name.removeprefix(HUB_PREFIX)
    file = next((found for each in HUB_WEIGHTS if (found := hub.find_cached(repository, each))), None)
    return explain_weights(file) if file or "@" in name else explain_absence(name, HUB_WEIGHTS, hub)


def explain_absence(name: str, files: Sequence[str], hub: Hub) -> str:
    """Return why none of `files` of `hf-hub:ORG/NAME` can be had; "" where one is stored here, or can be fetched."""
    repository = name.removeprefix(HUB_PREFIX)
    download = f"`clip-vectorizer models download {name} --to DIR`"
    if any(hub.find_cached(repository, each) for each in files):
        return ""
    for each in files:
        try:
            return explain_space(name, hub.find(repository, each).size or 0, Path(hub.store))
        except (HubUnreachable, NotInHubStore) as error:
            return (
                f"{name}: {error}; where the hub can be reached, run {download}, bring DIR here, name it local-dir:DIR"
            )
        except NoSuchHubFile as error:
            reason = f"{name}: {error}, which open_clip's layout needs; {download} takes transformers' layout too"
        except ModelUnavailable as error:
            return f"{name}: {error}"
    return reason


def explain_space(name: str, size: int, store: Path) -> str:
    """Return that a file of `size` bytes does not fit the disk of `store`; "" where it does.

    The hub's client only warns of it, and open_clip then reports another file as missing.
    """
    there = next(folder for folder in (store, *store.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if size <= free:
        return ""
    return (
        f"{name}: no space left on device: the model has {size / 1e6:.1f} MB, and {store} has room for "
        f"{free / 1e6:.1f} MB; free some, or set HF_HUB_CACHE to a folder on a larger disk"
    )


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
