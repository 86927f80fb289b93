"""Files of weights: layouts that are read, and a sentence for each file that is none."""

import argparse
import io
import json
import logging
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import CLIPModel

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.openclip import load_weights
from clip_vectorizer.models.state_dicts import find_architectures
from clip_vectorizer.models.weight_files import read_weights
from tests.models.hugging import HuggingClip, config_of, renamed
from tests.models.small import CONFIG, CPU, TEXTS, VISION, apart, random_clip, reference_texts

CLOSE = 1e-5  # of 1 - cosine
ARCHITECTURE, WIDER = "small-files", "small-files-wider"
WIDE_CONFIG = {**CONFIG, "vision_cfg": {**VISION, "width": 96}}
Weights = dict[str, torch.Tensor]


@pytest.fixture(autouse=True, scope="module")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("architectures")
    for name, config in ((ARCHITECTURE, CONFIG), (WIDER, WIDE_CONFIG)):
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def load(file: Path, architecture: str = ARCHITECTURE) -> Encoder:
    return load_encoder(ModelName(str(file), architecture), CPU)


def embed(encoder: Encoder) -> np.ndarray:
    return encoder.encode_texts([encoder.prepare_text(text) for text in TEXTS])


def refusal(file: Path, architecture: str = ARCHITECTURE) -> str:
    """The sentence with which `file` is refused; every one names the file and does not advise to load unsafely."""
    with pytest.raises(ModelUnavailable) as caught:
        load(file, architecture)
    sentence = str(caught.value)
    assert str(file) in sentence
    assert "weights_only" not in sentence
    assert not sentence.rstrip().endswith(":")
    assert "\n" not in sentence
    return sentence


# --- transformers' layout


@pytest.mark.parametrize(("activation", "quick"), [("gelu", False), ("quick_gelu", True)])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_transformers_layout_gives_the_vectors_of_transformers(
    name: str, activation: str, quick: bool, tmp_path: Path
) -> None:
    model = random_clip(quick_gelu=quick)
    theirs: Any = CLIPModel(config_of(model, activation))
    theirs.eval()
    theirs.load_state_dict(dict(renamed(model.state_dict())))
    theirs.save_pretrained(tmp_path)
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    encoder, reference = load(tmp_path / name), HuggingClip(model, activation)
    assert apart(embed(encoder), reference.texts(open_clip.SimpleTokenizer()(TEXTS))) <= CLOSE
    pixels = torch.randint(0, 255, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    normalised = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
    assert apart(encoder.encode_images(list(pixels.numpy())), reference.images(normalised)) <= CLOSE


def test_the_layout_does_not_change_the_revision(tmp_path: Path) -> None:
    weights = random_clip().state_dict()
    torch.save(weights, tmp_path / "ours.pt")
    torch.save(dict(renamed(weights)), tmp_path / "theirs.bin")
    assert load(tmp_path / "ours.pt").info.revision == load(tmp_path / "theirs.bin").info.revision


def test_without_a_configuration_the_architecture_decides_the_activation_and_the_log_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(dict(renamed(random_clip().state_dict())), tmp_path / "theirs.bin")
    with caplog.at_level(logging.WARNING):
        load(tmp_path / "theirs.bin")
    assert "quickgelu" in caplog.text
    assert "randomly" not in caplog.text


def test_a_part_of_transformers_layout_is_refused_with_the_first_names(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    names = ["text_model.embeddings.token_embedding.weight", "vision_model.embeddings.class_embedding", "logit_scale"]
    torch.save({name: torch.zeros(1) for name in names}, file)
    sentence = refusal(file)
    assert "missing (" in sentence
    assert "transformers' layout" in sentence


def test_a_siglip_of_transformers_is_called_one(tmp_path: Path) -> None:
    names = ("vision_model.head.probe", "text_model.head.weight", "text_model.embeddings.token_embedding.weight")
    save_file({name: torch.zeros(2, 2) for name in (*names, "logit_scale")}, tmp_path / "model.safetensors")
    assert "SigLIP" in refusal(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("tower", "fragment"), [("text_model.", "text tower alone"), ("vision_model.", "image tower alone")]
)
def test_one_tower_is_not_enough(tower: str, fragment: str, tmp_path: Path) -> None:
    weights = {name: value for name, value in renamed(random_clip().state_dict()) if name.startswith(tower)}
    torch.save(weights, tmp_path / "tower.bin")
    assert fragment in refusal(tmp_path / "tower.bin")


# --- checkpoints of trainers


def prefixed(weights: Weights, prefix: str) -> Weights:
    return {prefix + name: value for name, value in weights.items()}


OPTIMISER = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 1e-3}]}
CHECKPOINTS: dict[str, Callable[[Weights], dict[str, Any]]] = {
    "open_clip": lambda each: {"epoch": 3, "name": "run", "state_dict": each, "optimizer": OPTIMISER},
    "open_clip, several devices": lambda each: {"epoch": 3, "state_dict": prefixed(each, "module.")},
    "Lightning": lambda each: {
        "pytorch-lightning_version": "2.5",
        "state_dict": {**prefixed(each, "model."), "loss.weight": torch.zeros(2)},
        "hyper_parameters": argparse.Namespace(lr=1e-3, best=np.float64(0.5)),
    },
    "Lightning, compiled": lambda each: {"state_dict": prefixed(each, "clip._orig_mod.")},
    "model_state_dict": lambda each: {"model_state_dict": each, "optimizer_state_dict": OPTIMISER},
    "DeepSpeed": lambda each: {"module": prefixed(each, "module."), "rng": torch.zeros(5)},
    "with its average": lambda each: {
        "state_dict": {**prefixed({name: value * 0 for name, value in each.items()}, "ema."), **prefixed(each, "net.")}
    },
    "transformers in Lightning": lambda each: {"state_dict": prefixed(dict(renamed(each)), "model.")},
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_training_checkpoint_is_read(kind: str, tmp_path: Path) -> None:
    model, file = random_clip(), tmp_path / "checkpoint.ckpt"
    torch.save(CHECKPOINTS[kind](model.state_dict()), file)
    assert apart(embed(load(file)), reference_texts(model)) <= CLOSE


def test_an_old_pickle_of_torch_is_read(tmp_path: Path) -> None:
    model, file = random_clip(), tmp_path / "old.pt"
    torch.save(model.state_dict(), file, _use_new_zipfile_serialization=False)
    assert apart(embed(load(file)), reference_texts(model)) <= CLOSE


def test_safetensors_are_known_by_content(tmp_path: Path) -> None:
    model, file = random_clip(), tmp_path / "weights.bin"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
    assert apart(embed(load(file)), reference_texts(model)) <= CLOSE


def test_a_program_of_openais_kind_is_read_with_quick_gelu(tmp_path: Path) -> None:
    model, file = random_clip(quick_gelu=True), tmp_path / "program.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace_module
        torch.jit.save(trace(model, {"encode_text": torch.zeros(1, 77, dtype=torch.long)}), file)
    assert apart(embed(load(file)), reference_texts(model)) <= CLOSE


# --- files that do not fit


def test_another_architecture_is_named_by_its_shapes(tmp_path: Path) -> None:
    file = tmp_path / "wide.pt"
    torch.save(open_clip.CLIP(**WIDE_CONFIG).state_dict(), file)
    sentence = refusal(file)
    assert f"its shapes are those of {WIDER}: name that with --architecture" in sentence
    assert "visual.class_embedding is (96,) instead of (64,)" in sentence
    for unknown in ("", "small-fils"):
        assert f"its shapes are those of {WIDER}" in refusal(file, unknown)


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-L-14-336", "ViT-H-14", "ViT-B-16-plus-240"])
def test_the_shapes_of_a_published_architecture_are_known(name: str) -> None:
    config = {key: value for key, value in open_clip.get_model_config(name).items() if key != "custom_text"}
    with torch.device("meta"):
        weights = open_clip.CLIP(**config).state_dict()
    assert name in find_architectures(weights)


def test_positions_of_another_image_size_are_refused_and_not_stretched(tmp_path: Path) -> None:
    larger = {**CONFIG, "vision_cfg": {**VISION, "image_size": 48}}
    torch.save(open_clip.CLIP(**larger).state_dict(), tmp_path / "larger.pt")
    assert "visual.positional_embedding is (10, 64) instead of (5, 64)" in refusal(tmp_path / "larger.pt")


def test_a_lora_adapter_is_called_one(tmp_path: Path) -> None:
    name = "base_model.model.vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({name: torch.zeros(4, 4)}, tmp_path / "adapter_model.safetensors")
    assert "LoRA adapter" in refusal(tmp_path / "adapter_model.safetensors")


def test_a_model_that_is_no_clip_is_refused_with_its_first_names(tmp_path: Path) -> None:
    torch.save({"layer4.0.conv1.weight": torch.zeros(2), "fc.bias": torch.zeros(2)}, tmp_path / "resnet.pt")
    sentence = refusal(tmp_path / "resnet.pt")
    assert "2 tensors are unknown (layer4.0.conv1.weight, fc.bias)" in sentence
    assert "does not look like a CLIP" in sentence


# --- files that are no weights


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def tensors_file() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(400)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 605157884\n"
FILES: dict[str, tuple[bytes, str]] = {
    "pointer": (POINTER, "Git LFS pointer, not the weights: run `git lfs pull`"),
    "empty": (b"", "is empty (0 bytes)"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(50), "GGUF"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(50), "ONNX"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
    "page": (b"\n<!DOCTYPE html><html><head>", "HTML page"),
    "error of a bucket": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "XML"),
    "index": (b'{"metadata": {}, "weight_map": {"a": "b.safetensors"}}', "index of several files"),
    "configuration": (b'{\n "model_type": "clip"}', "JSON"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(20), "archive: unpack it"),
    "zip": (
        zipped(readme=b"hello", model__weights=b"x"),
        "zip archive without weights of torch (readme, model/weights)",
    ),
    "array": (b"\x93NUMPY\x01\0", "single array"),
    "text": (b"these are words\n", "neither a file of torch nor safetensors"),
    "cut archive": (saved({"a": torch.zeros(1000)})[:-30], "is cut off"),
    "cut pickle": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "is cut off"),
    "cut tensors": (tensors_file()[:-1], "is cut off: it has"),
    "cut header": (tensors_file()[:20], "is cut off or damaged in its header"),
    "optimiser alone": (saved({"epoch": 1, "lr": 0.1}), "has no weights: it is a dictionary of epoch, lr"),
    "nothing": (saved({}), "an empty dictionary"),
    "list": (saved([1, 2]), "a Python list"),
    "tensor": (saved(torch.zeros(2, 3)), "one tensor of shape (2, 3)"),
}


@pytest.mark.parametrize("kind", FILES)
def test_any_other_file_is_called_what_it_is(kind: str, tmp_path: Path) -> None:
    content, fragment = FILES[kind]
    file = tmp_path / "weights.pt"
    file.write_bytes(content)
    assert fragment in refusal(file)
    assert fragment in refusal(file, "")  # before the question for the architecture


class Trap:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def program_like(pickled: bytes) -> bytes:
    """An archive with the folder of a program's code, and a pickle of Python."""
    return zipped(model__data__pkl=pickled, model__code__run=b"", model__version=b"3").replace(b"data/pkl", b"data.pkl")


@pytest.mark.parametrize("form", ["archive", "old", "bare", "program"])
def test_a_pickle_with_code_is_refused_and_does_not_run(form: str, tmp_path: Path) -> None:
    touched, file = tmp_path / "touched", tmp_path / "weights.pt"
    content = {"state_dict": random_clip().state_dict(), "more": Trap(touched)}
    forms: dict[str, Callable[[], bytes]] = {
        "archive": lambda: saved(content),
        "bare": lambda: pickle.dumps(Trap(touched), protocol=2),
        "program": lambda: program_like(pickle.dumps(Trap(touched), protocol=2)),
    }
    if form == "old":
        torch.save(content, file, _use_new_zipfile_serialization=False)
    else:
        file.write_bytes(forms[form]())
    sentence = refusal(file)
    assert not touched.exists()
    assert "code to run" in sentence
    assert "touch" in sentence or "getattr" in sentence


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(cut=1829, flips={1701: 128})  # bytes that are no UTF-8 in the name of an entry
@given(cut=st.integers(0, 3000), flips=st.dictionaries(st.integers(0, 2999), st.integers(0, 255), max_size=5))
def test_a_damaged_file_gives_weights_or_one_sentence(cut: int, flips: dict[int, int], tmp_path: Path) -> None:
    content = bytearray(saved({"logit_scale": torch.zeros(1), "visual.proj": torch.zeros(3, 3)})[:cut])
    for place, value in flips.items():
        if place < len(content):
            content[place] = value
    file = tmp_path / "damaged.pt"
    file.write_bytes(content)
    try:
        assert read_weights(file)
    except ModelUnavailable as error:
        assert str(file) in str(error) and "weights_only" not in str(error)


def test_a_model_of_another_shape_leaves_no_filter_in_the_log(tmp_path: Path) -> None:
    before = list(logging.getLogger().filters)
    torch.save(open_clip.CLIP(**WIDE_CONFIG).state_dict(), tmp_path / "wide.pt")
    with pytest.raises(ModelUnavailable):
        load_weights(tmp_path / "wide.pt", ARCHITECTURE)
    assert logging.getLogger().filters == before


# --- names and folders


@pytest.mark.parametrize("name", ["/nowhere/weights.pt", "weights.pt", "./clip", "models/ViT-B-32.safetensors"])
def test_a_path_that_does_not_exist_is_no_such_file(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"^no such file: {name}$"):
        load_encoder(ModelName(name), CPU)


def test_a_repository_of_the_hub_needs_its_prefix() -> None:
    with pytest.raises(ModelUnavailable, match="a repository on the hub is hf-hub:qqq/zzzz"):
        load_encoder(ModelName("qqq/zzzz"), CPU)


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    assert "neither open_clip_config.json nor config.json nor a file of weights" in refusal(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(tensors_file())
    assert f"name its file {tmp_path / 'model.safetensors'}, with --architecture" in refusal(tmp_path)
    for name in ("config.json", "open_clip_config.json"):
        (tmp_path / name).write_text("{}")
        assert f"name it as local-dir:{tmp_path}" in refusal(tmp_path)
        (tmp_path / name).unlink()


def test_a_folder_that_does_not_exist_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no such folder"):
        load_encoder(ModelName(f"local-dir:{tmp_path / 'nowhere'}"), CPU)


def test_a_pointer_in_a_folder_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}))
    (tmp_path / "open_clip_model.safetensors").write_bytes(POINTER)
    with pytest.raises(ModelUnavailable, match="git lfs pull"):
        load_encoder(ModelName(f"local-dir:{tmp_path}"), CPU)
