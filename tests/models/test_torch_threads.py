"""The threads of torch are set by one function and by nothing else that loads a model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clip_vectorizer.models.catalog import ModelName, load_encoder, load_encoders
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.torch_threads import WORTH_THREADS, cap_torch_threads, choose_threads, set_torch_threads
from tests.fakes import HashEncoder
from tests.models.small import CPU, random_clip, save_folder


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def name(tmp_path: Path) -> ModelName:
    return ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}")


def test_the_number_of_threads_is_capped_and_never_raised() -> None:
    cap_torch_threads(4)
    assert torch.get_num_threads() == 3
    cap_torch_threads(2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_loading_leaves_the_number_of_threads_unchanged(device: str, name: ModelName) -> None:
    load_encoder(name, CPU)
    load_encoders(name, replace(CPU, device=device))
    assert torch.get_num_threads() == 3


def test_a_small_model_gets_one_thread_and_a_large_one_keeps_the_number(name: ModelName) -> None:
    small = load_encoder(name, CPU)
    assert small.weight_count == sum(map(torch.numel, random_clip().parameters()))
    assert choose_threads([small]) == 1
    small.weight_count = WORTH_THREADS
    assert choose_threads([small]) == 3


def test_several_workers_on_the_cpu_share_the_cores(name: ModelName) -> None:
    assert choose_threads(load_encoders(name, replace(CPU, device="cpu,cpu"))) == max(1, usable_cores() // 2)


def test_a_given_number_of_threads_is_used() -> None:
    set_torch_threads([HashEncoder()], threads=2)
    assert torch.get_num_threads() == 2
