from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.models.catalog import ModelName, load_encoder, load_encoders
from clip_vectorizer.models.devices import Placement, copy_model, parse_devices
from clip_vectorizer.models.openclip_encoder import ShortTexts
from tests.models.small import CPU, TEXTS, random_clip, save_folder


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("cpu", ["cpu"]),
        ("cpu,cpu", ["cpu", "cpu"]),
        ("cuda", ["cuda:0"]),
        ("cuda:0, cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:1,cuda:1", ["cuda:1", "cuda:1"]),
        ("cuda:all", ["cuda:0", "cuda:1", "cuda:2"]),
    ],
)
def test_device_names_get_numbers(text: str, devices: list[str]) -> None:
    assert parse_devices(text, count=3) == devices
    assert [str(torch.device(name)) for name in devices] == devices


def test_a_missing_device_raises_an_error_that_lists_the_available_ones() -> None:
    with pytest.raises(
        SettingsError, match=r"CLIP_DEVICE='cuda:0,cuda:2,cuda:7'.*no cuda:2 and no cuda:7.*cuda:0 to cuda:1"
    ):
        parse_devices("cuda:0,cuda:2,cuda:7", count=2)


@pytest.mark.parametrize("text", ["cuda", "cuda:all", "cuda:1"])
def test_without_a_gpu_the_error_suggests_the_cpu(text: str) -> None:
    with pytest.raises(SettingsError, match=r"CLIP_DEVICE.*use cpu"):
        parse_devices(text, count=0)


def test_two_workers_on_the_cpu_return_equal_vectors(tmp_path: Path) -> None:
    name = ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}")
    first, second = load_encoders(name, replace(CPU, device="cpu,cpu"))
    assert first.info == second.info
    texts = [first.prepare_text(text) for text in TEXTS]
    np.testing.assert_array_equal(first.encode_texts(texts), second.encode_texts(texts))


def test_one_device_gives_one_encoder(tmp_path: Path) -> None:
    name = ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}")
    (only,) = load_encoders(name, CPU)
    assert only.info == load_encoder(name, CPU).info


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_copy_has_all_weights_on_the_other_device_and_leaves_the_model_unchanged(wrapped: bool) -> None:
    model = random_clip()
    copy = copy_model(ShortTexts(model) if wrapped else model, torch.device("meta"))
    inner = vars(copy)["_model"] if wrapped else copy
    assert {value.device.type for value in [*inner.parameters(), *inner.buffers()]} == {"meta"}
    assert {value.device.type for value in [*model.parameters(), *model.buffers()]} == {"cpu"}
    assert inner.state_dict().keys() == model.state_dict().keys()
    assert not any(value.requires_grad for value in inner.parameters())
    assert not inner.training


def test_a_copy_computes_the_same() -> None:
    model = random_clip()
    ids = torch.randint(1, 49000, (3, 77))
    torch.testing.assert_close(
        copy_model(model, torch.device("cpu")).encode_text(ids), model.encode_text(ids), atol=0, rtol=0
    )


def test_a_missing_device_raises_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CLIP_DEVICE"):
        load_encoders(ModelName(f"local-dir:{tmp_path}"), Placement(device="cuda:98,cuda:99"))
