"""Downloads a model to a folder that `local-dir:` takes, also on a machine that never sees a network.

open_clip's own models get the configuration of open_clip's table, with the activation and the preprocessing of their
tag. A repository keeps its own: open_clip's layout, or transformers'. torch and open_clip take seconds to import and
are imported where they are needed, if at all.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.facts import RANDOM, WEIGHT_NAMES
from clip_vectorizer.models.file_kinds import check_content
from clip_vectorizer.models.hub_files import Hub, HubUnreachable, NoSuchHubFile, NotInHubStore
from clip_vectorizer.models.names import EMOJI, HUB, TAG, list_open_clip_names, resolve_name, suggest_names
from clip_vectorizer.models.transfers import FileHash, RemoteFile, explain_disk_error, fetch_file

OPEN_CLIP_CONFIG = "open_clip_config.json"
CONVERTED_WEIGHTS = "open_clip_model.safetensors"
TRANSFORMERS_CONFIG = "config.json"
TRANSFORMERS_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")  # the first is taken
INDEX_SUFFIX = ".index.json"  # of the list of several files of weights
TRANSFORMERS_FILES = ("preprocessor_config.json", "processor_config.json")
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"),
    *("vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
PREPROCESSING_KEYS = ("mean", "std", "interpolation", "resize_mode")
OPENAI_HOST, OPEN_CLIP_HOST = "openaipublic", "mlfoundations"  # in addresses of weights that contain their hash

DEFAULT_HUB = Hub()


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a folder gets. `weights`: names in `repository`, the first that it has is taken; `config`: of open_clip's
    layout, "" where the repository is in transformers'.
    """

    repository: str
    weights: tuple[str, ...]
    config: str
    tokenizer: str = ""  # repository of the tokenizer; "": open_clip's own, or beside the weights
    tower: str = ""  # repository of the configuration of a text tower from transformers
    address: str = ""  # of the weights, where no hub can be reached


class DownloadReport(Protocol):
    """How a download is followed."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Report that `done` of `total` bytes of a file are there; called often."""

    def fetched(self, file: Path) -> None:
        """Report a file that is complete."""


def download_model(name: str, folder: Path, report: DownloadReport, hub: Hub = DEFAULT_HUB) -> None:
    """Fetch the model `name` into `folder`, which is created; files that are there and right are kept.

    The configuration comes last, so that a folder without all its weights is none of a model. Raises ModelUnavailable.
    """
    plan = plan_download(name, hub)
    open_folder(folder, plan.config)
    for file in fetch_model(plan, folder, report, hub):
        report.fetched(file)


def plan_download(name: str, hub: Hub) -> DownloadPlan:
    """Return what the model `name` consists of. Raises ModelUnavailable."""
    if name.startswith(HUB):
        return plan_repository(name.removeprefix(HUB), hub)
    import open_clip

    architecture, _, tag = resolve_name(name).partition(TAG)
    entry = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if not entry:
        raise ModelUnavailable(explain_undownloadable(name))
    return plan_tag(architecture, tag, entry)


def explain_undownloadable(name: str) -> str:
    if name == EMOJI or name.endswith(f"{TAG}{RANDOM}"):
        return f"{name} needs no download: it is part of this package"
    if Path(name).expanduser().exists() or ":" in name.replace(TAG, ""):
        return f"{name} is not a model of a hub; name open_clip's ARCHITECTURE{TAG}TAG, or {HUB}ORG/NAME"
    unknown = suggest_names(name, list_open_clip_names())
    return f"{unknown}; a repository on the hub is {HUB}{name}" if len(name.split("/")) == 2 else unknown


def plan_tag(architecture: str, tag: str, entry: Mapping[str, Any]) -> DownloadPlan:
    """Plan a model of open_clip's table. `source` in its configuration keeps two of one architecture apart."""
    import open_clip

    repository, _, file = str(entry.get("hf_hub", "")).rpartition("/")
    config = open_clip.get_model_config(architecture)
    assert config is not None, architecture
    if entry.get("quick_gelu"):
        config["quick_gelu"] = True
    preprocessing = {key: entry[key] for key in PREPROCESSING_KEYS if key in entry}
    name = f"{architecture}{TAG}{tag}"
    return DownloadPlan(
        repository,
        name_weights(file),
        json.dumps({"source": name, "model_cfg": config, "preprocess_cfg": preprocessing}, indent=2),
        config["text_cfg"].get("hf_tokenizer_name", ""),
        config["text_cfg"].get("hf_model_name", ""),
        entry.get("url", ""),
    )


def name_weights(file: str) -> tuple[str, ...]:
    """Return the names under which open_clip looks for weights: without code to run first."""
    return (Path(file).with_suffix(".safetensors").name, file) if file else WEIGHT_NAMES[::-1]


def plan_repository(repository: str, hub: Hub) -> DownloadPlan:
    """Plan a repository: open_clip's layout where it has that configuration, else transformers'."""
    try:
        config = read_hub_text(repository, OPEN_CLIP_CONFIG, hub)
    except NoSuchHubFile:
        return plan_transformers(repository, hub)
    try:
        text = json.loads(config)["model_cfg"]["text_cfg"]
        return DownloadPlan(
            repository, name_weights(""), config, text.get("hf_tokenizer_name", ""), text.get("hf_model_name", "")
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{OPEN_CLIP_CONFIG} of {repository} is not open_clip's ({error!r})") from error


def plan_transformers(repository: str, hub: Hub) -> DownloadPlan:
    try:
        read_hub_text(repository, TRANSFORMERS_CONFIG, hub)
    except NotInHubStore:
        raise
    except NoSuchHubFile as error:
        names = f"neither {OPEN_CLIP_CONFIG} nor {TRANSFORMERS_CONFIG}"
        raise ModelUnavailable(f"{repository} is no model of open_clip or transformers: it has {names}") from error
    return DownloadPlan(repository, TRANSFORMERS_WEIGHTS, "", repository)


def read_hub_text(repository: str, name: str, hub: Hub) -> str:
    with TemporaryDirectory(prefix="clip-vectorizer-") as folder:
        return hub.fetch(repository, name, Path(folder)).read_text("utf-8")


def open_folder(folder: Path, config: str) -> None:
    """Create `folder`. Raises ModelUnavailable where it cannot be written, or has another model."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / OPEN_CLIP_CONFIG
        there = file.read_text("utf-8") if file.is_file() else config
    except OSError as error:
        raise ModelUnavailable(explain_disk_error(error, folder)) from error
    if there != config:
        raise ModelUnavailable(f"{folder} has another model already; name a folder of its own")


def fetch_model(plan: DownloadPlan, folder: Path, report: DownloadReport, hub: Hub) -> Iterator[Path]:
    """Yield the files of the model in `folder`, each when it is complete."""
    if not plan.config:
        config = fetch_needed(plan.repository, (TRANSFORMERS_CONFIG,), folder, report, hub)
    yield from fetch_tokenizer(plan, folder, report, hub)
    weights = fetch_weights(plan, folder, report, hub)
    if weights.name.endswith(INDEX_SUFFIX):
        for name in read_index(weights):
            yield fetch_needed(plan.repository, (name,), folder, report, hub)
    yield weights
    if plan.config:
        yield write_config(folder / OPEN_CLIP_CONFIG, plan.config)
    else:
        yield from fetch_those_there(plan.repository, TRANSFORMERS_FILES, folder, report, hub)
        yield config


def fetch_tokenizer(plan: DownloadPlan, folder: Path, report: DownloadReport, hub: Hub) -> Iterator[Path]:
    """Yield the files of a tokenizer from transformers, and the configuration by which it finds its class."""
    if plan.tower:
        yield fetch_needed(plan.tower, (TRANSFORMERS_CONFIG,), folder, report, hub)
    if not plan.tokenizer:
        return
    files = list(fetch_those_there(plan.tokenizer, TOKENIZER_FILES, folder, report, hub))
    if plan.config and not plan.tower:
        files += fetch_those_there(plan.tokenizer, (TRANSFORMERS_CONFIG,), folder, report, hub)
    if plan.config and not any(file.name in VOCABULARIES for file in files):
        raise ModelUnavailable(f"{plan.tokenizer} has no tokenizer: none of {', '.join(VOCABULARIES)}")
    yield from files


def fetch_weights(plan: DownloadPlan, folder: Path, report: DownloadReport, hub: Hub) -> Path:
    """Return the weights, from the hub, or from their own address where the hub cannot be reached."""
    try:
        return fetch_needed(plan.repository, plan.weights, folder, report, hub)
    except HubUnreachable as error:
        if not plan.address:
            raise
        return fetch_by_address(plan.address, folder, report, error)


def read_index(file: Path) -> list[str]:
    """Return the names of the files that an index lists. Raises ModelUnavailable."""
    try:
        names = {str(name) for name in json.loads(file.read_text("utf-8"))["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{file} is no index of files of weights ({error!r})") from error
    if any(Path(name).name != name for name in names):
        raise ModelUnavailable(f"{file} names a file outside of its folder")
    return sorted(names)


def fetch_needed(repository: str, names: tuple[str, ...], folder: Path, report: DownloadReport, hub: Hub) -> Path:
    """Return the first of `names` that the repository has. Raises ModelUnavailable where it has none of them."""
    for name in names:
        try:
            found = hub.fetch(repository, name, folder, report.progress)
        except NoSuchHubFile as error:
            missing = error
            continue
        if found.suffix != ".json":
            check_content(found)
        return found
    reason = f": {missing}" if isinstance(missing, NotInHubStore) else ""
    raise ModelUnavailable(f"{repository} has no {' or '.join(names)}{reason}")


def fetch_those_there(
    repository: str, names: tuple[str, ...], folder: Path, report: DownloadReport, hub: Hub
) -> Iterator[Path]:
    for name in names:
        try:
            yield hub.fetch(repository, name, folder, report.progress)
        except NoSuchHubFile:
            continue


def fetch_by_address(address: str, folder: Path, report: DownloadReport, reason: HubUnreachable) -> Path:
    """Return weights that are published at an address, as safetensors. OpenAI's are a program: its tensors are taken.

    Raises ModelUnavailable, with the reason why the hub was not used.
    """
    from safetensors.torch import save_file

    from clip_vectorizer.models.state_dicts import select_model
    from clip_vectorizer.models.weight_files import read_weights

    target = folder / CONVERTED_WEIGHTS
    remote = RemoteFile(Path(address).name, address, None, read_address_hash(address))
    try:
        file = fetch_file(remote, folder, report.progress)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{reason}; and {error}") from error
    weights = select_model(read_weights(file))
    part = target.with_name(f".{target.name}.part")
    save_file({name: value.clone().contiguous() for name, value in weights.items()}, part)
    part.replace(target)
    file.unlink()
    return target


def read_address_hash(address: str) -> FileHash | None:
    """Return the SHA-256 in an address of weights, or its first characters.

    >>> str(read_address_hash("https://github.com/mlfoundations/open_clip/releases/download/v0.2/rn50-cc12m-f000538c.pt"))
    'sha256 f000538c'
    """
    if OPENAI_HOST in address:
        return FileHash("sha256", address.split("/")[-2])
    return FileHash("sha256", Path(address).stem.rpartition("-")[2]) if OPEN_CLIP_HOST in address else None


def write_config(file: Path, config: str) -> Path:
    try:
        part = file.with_name(f".{file.name}.part")
        part.write_text(config, "utf-8")
        part.replace(file)
    except OSError as error:
        raise ModelUnavailable(explain_disk_error(error, file.parent)) from error
    return file
