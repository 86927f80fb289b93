from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.models.catalog import ModelName, load_encoder, load_encoders
from clip_vectorizer.models.devices import Placement, cap_torch_threads, copy_model, parse_devices
from clip_vectorizer.models.openclip import ShortTexts
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
def test_names_become_torchs_with_numbers(text: str, devices: list[str]) -> None:
    assert parse_devices(text, count=3) == devices
    assert [str(torch.device(name)) for name in devices] == devices


def test_a_device_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(
        SettingsError, match=r"CLIP_DEVICE='cuda:0,cuda:2,cuda:7'.*no cuda:2 and no cuda:7.*cuda:0 to cuda:1"
    ):
        parse_devices("cuda:0,cuda:2,cuda:7", count=2)


@pytest.mark.parametrize("text", ["cuda", "cuda:all", "cuda:1"])
def test_without_any_gpu_the_error_says_the_way_out(text: str) -> None:
    with pytest.raises(SettingsError, match=r"CLIP_DEVICE.*use cpu"):
        parse_devices(text, count=0)


def test_two_workers_of_one_processor_have_one_model_and_equal_vectors(tmp_path: Path) -> None:
    name = ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}")
    threads = torch.get_num_threads()
    try:
        first, second = load_encoders(name, replace(CPU, device="cpu,cpu"))
    finally:
        torch.set_num_threads(threads)
    assert first.info == second.info
    texts = [first.prepare_text(text) for text in TEXTS]
    np.testing.assert_array_equal(first.encode_texts(texts), second.encode_texts(texts))


def test_one_device_is_one_encoder_as_ever(tmp_path: Path) -> None:
    name = ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}")
    (only,) = load_encoders(name, CPU)
    assert only.info == load_encoder(name, CPU).info


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_copy_has_all_its_weights_on_the_other_device_and_leaves_the_model_where_it_is(wrapped: bool) -> None:
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


def test_a_missing_device_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CLIP_DEVICE"):
        load_encoders(ModelName(f"local-dir:{tmp_path}"), Placement(device="cuda:98,cuda:99"))


def test_no_more_threads_than_usable_cores_and_no_fewer_than_asked_for() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        cap_torch_threads(4)
        assert torch.get_num_threads() == 3
        cap_torch_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
