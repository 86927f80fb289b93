"""Models that cannot be loaded for what is around them: no hub, a wrong architecture, weights that are no numbers."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import open_clip
import pytest
import torch
from torch import nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.architecture_fit import build_on_meta, check_fit
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import check_numbers
from clip_vectorizer.models.hub_files import Hub
from clip_vectorizer.models.load_problems import check_hub, find_hub_problem
from tests.documents import REPOSITORY
from tests.models.hub_server import running_hub
from tests.models.small import CONFIG, CPU, random_clip, save_folder

NAME = "hf-hub:org/name"
WAY_OUT = ("`clip-vectorizer models download hf-hub:org/name --to DIR`", "local-dir:DIR")
CONFIG_FILE, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
GIB = 1 << 20  # KiB, the unit of ru_maxrss
TENSOR = "visual.transformer.resblocks.1.mlp.c_fc.weight"
OFFLINE_PROGRAM = """
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
try:
    load_encoder(ModelName("hf-hub:org/name"), Placement())
except ModelUnavailable as error:
    print(error)
"""


# --- the hub


def test_a_hub_that_cannot_be_reached_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        check_hub(NAME, Hub("http://127.0.0.1:9", str(tmp_path)))
    sentence = str(caught.value)
    assert "http://127.0.0.1:9 cannot be reached" in sentence
    assert all(part in sentence for part in WAY_OUT)


def test_offline_the_sentence_names_the_variable_and_the_way_out(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE_PROGRAM],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith(f"{NAME}: HF_HUB_OFFLINE is set, and {CONFIG_FILE} of org/name is not in ")
    assert all(part in ran.stdout for part in WAY_OUT)


def test_what_a_repository_lacks_is_named(tmp_path: Path) -> None:
    with running_hub() as running:
        hub = Hub(running.url, str(tmp_path))
        running.add("org/name", "config.json", b"{}")
        with pytest.raises(ModelUnavailable, match=f"org/name has no {CONFIG_FILE}, which open_clip's layout needs"):
            check_hub(NAME, hub)
        with pytest.raises(ModelUnavailable, match="has no repository org/other"):
            check_hub("hf-hub:org/other", hub)
        running.add("org/name", CONFIG_FILE, json.dumps({"model_cfg": CONFIG}).encode())
        check_hub(NAME, hub)
        assert f"has no {open_clip.constants.HF_WEIGHTS_NAME}" in find_hub_problem(NAME, hub)
        running.add("org/name", WEIGHTS, b"weights")
        assert find_hub_problem(NAME, hub) == ""


def test_a_disk_that_is_too_small_for_a_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    with running_hub() as running:
        running.add("org/name", WEIGHTS, bytes(2_000_000))
        problem = find_hub_problem(NAME, Hub(running.url, str(tmp_path / "hub")))
    assert problem.startswith(f"{NAME}: no space left on device: the model has 2.0 MB, and ")
    assert "has room for 0.1 MB; free some, or set HF_HUB_CACHE" in problem


# --- the architecture


def refuse(file: Path, architecture: str) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_encoder(ModelName(str(file), architecture), CPU)
    return str(caught.value)


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    torch.save(random_clip().state_dict(), tmp_path / "small.pt")
    return tmp_path / "small.pt"


def test_a_misspelt_architecture_is_answered_with_the_nearest(small_file: Path) -> None:
    sentence = refuse(small_file, "ViT-B-23")
    assert "open_clip has no architecture 'ViT-B-23'; did you mean ViT-B-32 or" in sentence
    assert "`clip-vectorizer models --random` lists all" in sentence


@pytest.mark.parametrize("architecture", ["ViT-H-14", "RN50x64"])
def test_an_architecture_of_another_size_is_refused_without_memory_for_it(architecture: str, small_file: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = refuse(small_file, architecture)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIB  # built, each takes more than 2 GiB
    assert f"does not fit --architecture {architecture}: expected " in sentence
    assert f"and the file has {len(random_clip().state_dict())} tensors" in sentence


def test_a_model_without_memory_has_the_names_and_shapes_of_one_with_it() -> None:
    real = open_clip.create_model("ViT-S-32-alt").state_dict()
    bare = build_on_meta("ViT-S-32-alt").state_dict()
    assert {name: value.shape for name, value in bare.items()} == {name: value.shape for name, value in real.items()}
    assert all(value.is_meta for value in bare.values())
    check_fit(Path("file.pt"), "ViT-S-32-alt", dict(real), transformers=False)


# --- numbers


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_weight_that_is_no_number_is_refused_by_its_name(bad: float, kind: str, tmp_path: Path) -> None:
    model = open_clip.create_model("ViT-S-32-alt") if kind == "file" else random_clip()
    with torch.no_grad():
        model.get_parameter(TENSOR)[5, 7] = bad
    if kind == "file":
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        name = ModelName(str(tmp_path / "weights.pt"), "ViT-S-32-alt")
    else:
        name = ModelName(f"local-dir:{save_folder(model, tmp_path)}")
    with pytest.raises(ModelUnavailable, match=rf"1 of [\d,]+ in {TENSOR} are NaN or infinite; take an earlier"):
        load_encoder(name, CPU)


def test_sound_weights_whose_sum_overflows_and_infinite_masks_pass() -> None:
    model = nn.Linear(2, 1)
    model.register_buffer("mask", torch.full((2,), float("-inf")))
    with torch.no_grad():
        model.weight.fill_(3e38)
    check_numbers("model", model)


def test_a_batch_norm_with_a_variance_that_is_no_number_is_refused() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3))
    model[0].get_buffer("running_var")[1] = float("nan")
    with pytest.raises(ModelUnavailable, match=r"1 of 3 in 0\.running_var"):
        check_numbers("model", model)
