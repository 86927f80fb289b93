"""Folders of plain CLIPs load without open_clip, and compute what they compute with it."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from clip_vectorizer.models.byte_pairs import BytePairTokenizer
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.local_dir import WEIGHTS
from clip_vectorizer.models.openclip import load_local_dir
from tests.models.small import CONFIG, CPU, TEXTS, apart, random_clip, save_folder

IMPORTS = """
import sys
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
encoder = load_encoder(ModelName(sys.argv[1]), Placement())
encoder.encode_texts([encoder.prepare_text("a cat")])
print(sorted({"open_clip", "torchvision", "timm", "transformers"} & sys.modules.keys()))
"""


@pytest.fixture(scope="module", params=[{}, {"quick_gelu": True}], ids=["GELU", "QuickGELU"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    extra: dict[str, Any] = request.param
    return save_folder(random_clip(**extra), tmp_path_factory.mktemp("plain"), **extra)


def test_nothing_of_open_clip_is_imported(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, f"local-dir:{folder}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_description_and_vectors_are_those_of_open_clip(folder: Path) -> None:
    plain = load_encoder(ModelName(f"local-dir:{folder}"), CPU)
    usual = load_local_dir(f"local-dir:{folder}", folder, CPU)
    assert plain.info == usual.info
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    assert apart(plain.encode_images(list(pixels)), usual.encode_images(list(pixels))) <= 1e-6
    texts = [[each.prepare_text(text) for text in TEXTS] for each in (plain, usual)]
    assert texts[0] == texts[1]
    assert apart(plain.encode_texts(texts[0]), usual.encode_texts(texts[1])) <= 1e-6


def test_weights_with_more_than_a_plain_clip_go_to_open_clip(tmp_path: Path) -> None:
    folder = save_folder(random_clip(init_logit_bias=-3.0), tmp_path, init_logit_bias=-3.0)
    assert load_encoder(ModelName(f"local-dir:{folder}"), CPU).info.logit_bias == -3.0


def test_another_vocabulary_goes_to_open_clip(tmp_path: Path) -> None:
    folder = save_folder(random_clip(), tmp_path)
    config = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "vocab_size": 49_409}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    weights = load_file(folder / WEIGHTS)
    weights["token_embedding.weight"] = torch.ones(49_409, 32)
    save_file(weights, folder / WEIGHTS)
    assert load_encoder(ModelName(f"local-dir:{folder}"), CPU).info.dimension == 16


def test_the_file_is_not_read_after_it_was_loaded(tmp_path: Path) -> None:
    folder = save_folder(random_clip(), tmp_path)
    encoder = load_encoder(ModelName(f"local-dir:{folder}"), CPU)
    texts = [encoder.prepare_text(text) for text in TEXTS]
    before = encoder.encode_texts(texts)
    with (folder / WEIGHTS).open("r+b") as file:  # in place: the pages of a mapped file would change
        file.write(bytes((folder / WEIGHTS).stat().st_size))
    np.testing.assert_array_equal(encoder.encode_texts(texts), before)


def test_its_tokenizer_can_be_sent_to_another_process() -> None:
    tokenizer = BytePairTokenizer(77)
    assert pickle.loads(pickle.dumps(tokenizer))("a cat") == tokenizer("a cat")
