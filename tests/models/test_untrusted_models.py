"""Models that somebody else made: no code of theirs runs, and what is wrong with a file is said with its name."""

import gc
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models import openclip
from clip_vectorizer.models.catalog import ModelName, load_encoder
from tests.documents import REPOSITORY
from tests.models.hub_server import running_hub
from tests.models.small import CONFIG, CPU, random_clip

ARCHITECTURE = "small-untrusted"
SAFE, PICKLED, CONFIG_FILE = "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_config.json"
WEIGHTS = {name: value.contiguous() for name, value in random_clip().state_dict().items()}


@pytest.fixture(scope="module", autouse=True)
def architecture(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("architecture") / f"{ARCHITECTURE}.json"
    file.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(file)


class Touch:
    """A pickle that creates a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def archive(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def old_archive(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def arrays(value: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, params=np.array([value], dtype=object))
    return buffer.getvalue()


def save_folder(folder: Path, name: str, content: bytes, **text: Any) -> Path:
    folder.mkdir(exist_ok=True)
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], **text}}
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    (folder / name).write_bytes(content)
    return folder


def refusal(load: Callable[[], object]) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load()
    sentence = str(caught.value)
    assert "weights_only" not in sentence  # torch's advice is to load it unsafely
    return sentence


def load_folder(folder: Path) -> str:
    return refusal(lambda: load_encoder(ModelName(f"local-dir:{folder}"), CPU))


def load_tag(file: Path) -> str:
    """As a file from the hub's store."""
    return refusal(lambda: openclip.load_entry("A::tag", ARCHITECTURE, {}, str(file), CPU))


FORMS: dict[str, Callable[[object], bytes]] = {
    "archive": lambda trap: archive({"state_dict": {**WEIGHTS, "more": trap}}),
    "old": lambda trap: old_archive({**WEIGHTS, "more": trap}),
    "bare": lambda trap: pickle.dumps(trap, protocol=2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", ["folder", "tag", "transformers"])
def test_a_pickle_with_code_is_refused_on_every_route(route: str, form: str, tmp_path: Path) -> None:
    target = tmp_path / "touched"
    name = "pytorch_model.bin" if route == "transformers" else PICKLED
    folder = save_folder(tmp_path / "model", name, FORMS[form](Touch(target)))
    if route == "transformers":
        (folder / CONFIG_FILE).unlink()
        (folder / "config.json").write_text('{"model_type": "clip"}')
        (folder / "preprocessor_config.json").write_text("{}")
    sentence = load_tag(folder / name) if route == "tag" else load_folder(folder)
    assert not target.exists()
    assert f"{folder / name} is a pickle that has code to run besides tensors" in sentence


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_arrays_of_objects_are_refused(suffix: str, tmp_path: Path) -> None:
    target, file = tmp_path / "touched", tmp_path / f"weights{suffix}"
    file.write_bytes(arrays(Touch(target)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # open_clip's reader leaves such a file open
        sentence = refusal(lambda: load_encoder(ModelName(str(file), ARCHITECTURE), CPU))
        gc.collect()
    assert not target.exists() and str(file) in sentence


TOKENIZER = {"tokenizer_class": "TrapTokenizer", "auto_map": {"AutoTokenizer": ["trap.TrapTokenizer", None]}}


def test_a_folder_may_not_ask_for_its_own_code(tmp_path: Path) -> None:
    """`tokenizer_kwargs` of a configuration go to transformers, `trust_remote_code` among them."""
    target = tmp_path / "touched"
    folder = save_folder(
        tmp_path / "model", SAFE, save(WEIGHTS), hf_tokenizer_name="x/y", tokenizer_kwargs={"trust_remote_code": True}
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    (folder / "trap.py").write_text(
        f"import pathlib\npathlib.Path({str(target)!r}).touch()\nclass TrapTokenizer: ...\n"
    )
    sentence = load_folder(folder)
    assert not target.exists()
    assert f"local-dir:{folder}: its tokenizer cannot be loaded" in sentence


HUB_PROGRAM = """
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
for name in ("hf-hub:org/pickle", "hf-hub:org/tokenizer"):
    try:
        load_encoder(ModelName(name), Placement())
    except ModelUnavailable as error:
        print(error)
"""


def test_a_repository_on_the_hub_runs_no_code_either(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "hf_tokenizer_name": "org/tokenizer"}}
    config["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    with running_hub() as hub:
        for repository, weights in (
            ("org/pickle", (PICKLED, archive(Touch(target)))),
            ("org/tokenizer", (SAFE, save(WEIGHTS))),
        ):
            hub.add(repository, CONFIG_FILE, json.dumps({"model_cfg": config, "preprocess_cfg": {}}).encode())
            hub.add(repository, *weights)
        code = f"import pathlib\npathlib.Path({str(target)!r}).touch()\nclass TrapTokenizer: ...\n"
        hub.add("org/tokenizer", "tokenizer_config.json", json.dumps(TOKENIZER).encode())
        hub.add("org/tokenizer", "trap.py", code.encode())
        ran = subprocess.run(
            [sys.executable, "-c", HUB_PROGRAM],
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path / "home"),
                "PYTHONPATH": str(REPOSITORY),
            },
            capture_output=True,
            text=True,
            check=True,
        )
    pickled, tokenizer = ran.stdout.splitlines()
    assert not target.exists()
    assert f"{PICKLED} is a pickle that has code to run besides tensors" in pickled
    assert tokenizer.startswith("hf-hub:org/tokenizer: its tokenizer cannot be loaded: ")


# What else may be in the place of weights


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 605157884\n"
PAGE = b"<!DOCTYPE html><html>Sign in</html>"
LARGER = {name: torch.zeros([2 * side for side in value.shape]) for name, value in WEIGHTS.items()}
OTHERS = {f"bert.{name}": value for name, value in WEIGHTS.items()}
DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "no bytes": (SAFE, b"", "is empty (0 bytes); download it again"),
    "page": (PICKLED, PAGE, "is an HTML page"),
    "pointer": (SAFE, POINTER, "is a Git LFS pointer, not the weights"),
    "cut": (SAFE, cut(save(WEIGHTS)), "is cut off: it has 3,523,"),
    "cut archive": (PICKLED, cut(archive(WEIGHTS)), "is cut off: the end of the archive is missing"),
    "cut header": (SAFE, save(WEIGHTS)[:100], "is cut off or damaged in its header"),
    "arbitrary": (PICKLED, b"these are words", "is neither a file of torch nor safetensors"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("route", ["folder", "tag"])
def test_a_damaged_file_is_named_with_what_it_is(route: str, kind: str, tmp_path: Path) -> None:
    name, content, fragment = DAMAGED[kind]
    folder = save_folder(tmp_path / "model", name, content)
    sentence = load_folder(folder) if route == "folder" else load_tag(folder / name)
    assert f"{folder / name} {fragment}" in sentence


@pytest.mark.parametrize(
    ("weights", "fragment"),
    [
        (LARGER, "61 tensors are of another shape (positional_embedding is (154, 64) instead of (77, 32)"),
        (OTHERS, "62 tensors are missing (positional_embedding, text_projection, logit_scale and 59 more)"),
        (
            {name: value for name, value in WEIGHTS.items() if name != "logit_scale"},
            "1 tensors are missing (logit_scale)",
        ),
    ],
)
def test_weights_of_another_model_are_named_with_what_was_expected(
    weights: dict[str, torch.Tensor], fragment: str, tmp_path: Path
) -> None:
    folder = save_folder(tmp_path / "model", SAFE, save(weights))
    sentence = load_folder(folder)
    assert sentence.startswith(f"{folder / SAFE} does not fit {folder / CONFIG_FILE}: ")
    assert fragment in sentence


def test_a_folder_lacks_weights_or_a_configuration(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "model", SAFE, b"")
    (folder / SAFE).unlink()
    assert load_folder(folder) == f"{folder} has a configuration and no weights: expected {SAFE} or {PICKLED}"
    (folder / CONFIG_FILE).unlink()
    (folder / SAFE).write_bytes(save(WEIGHTS))
    assert CONFIG_FILE in load_folder(folder) and str(folder) in load_folder(folder)
