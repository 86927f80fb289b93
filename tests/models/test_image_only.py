"""Image-only models: their folder, their pixels, and what they answer to texts."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from clip_vectorizer.errors import ModelUnavailable, NoTexts, SettingsError
from clip_vectorizer.models import image_only
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.doctor import DoctorLoad, inspect_machine, measure_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.image_only import CONFIG, WEIGHTS, ImageOnlyConfig, build_backbone, save_image_only
from clip_vectorizer.models.torch_encoder import TorchEncoder
from tests.models.recordings import Recordings
from tests.models.small import apart
from tests.training.simclr.drawn import TALL, draw_page

SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    save_image_only(folder, build_backbone(), ImageOnlyConfig("resnet18", SIDE, {"--steps": "0"}))
    return folder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load(folder)


def load(folder: Path, precision: str = "fp32") -> Encoder:
    return load_encoder(ModelName(f"local-dir:{folder}"), Placement(precision=precision))


def test_vectors_are_those_of_timms_network_for_a_grey_page_on_a_white_square(folder: Path, encoder: Encoder) -> None:
    page = draw_page(3, TALL)
    network = timm.create_model("resnet18", pretrained=False, in_chans=1, num_classes=0).eval()
    network.load_state_dict(load_file(folder / WEIGHTS))
    wide = round(SIDE * page.width / page.height)
    square = Image.new("L", (SIDE, SIDE), 255)
    square.paste(page.resize((wide, SIDE), Image.Resampling.BICUBIC).convert("L"), ((SIDE - wide) // 2, 0))
    with torch.inference_mode():
        expected = network((torch.from_numpy(np.array(square)).float()[None, None] / 255 - 1) / 0.25).numpy()
    found = encoder.encode_images([encoder.prepare_image(page)])
    assert found.shape == (1, 512) and found.dtype == np.float32
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert apart(found, expected / np.linalg.norm(expected)) < 1e-4  # half a grey level


def test_the_colour_of_a_page_counts_by_its_luma_alone(encoder: Encoder) -> None:
    red, grey = Image.new("RGB", (50, 50), (255, 0, 0)), Image.new("RGB", (50, 50), (76, 76, 76))
    vectors = encoder.encode_images([encoder.prepare_image(each) for each in (red, grey)])
    assert apart(vectors[:1], vectors[1:]) < 1e-5


def test_it_is_described_as_a_model_without_texts(folder: Path, encoder: Encoder) -> None:
    info = encoder.info
    assert (info.texts, info.dimension, info.image_size, info.context_length) == (False, 512, SIDE, 0)
    assert info.preprocessing.startswith(f"longest-{SIDE}-bicubic-v") and info.preprocessing.endswith("-grey")
    assert load(folder).info == info


def test_other_weights_have_another_revision(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["conv1.weight"][0, 0, 0, 0] += 0.01
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    save_file(weights, tmp_path / WEIGHTS)
    assert load(tmp_path).info.revision != encoder.info.revision


def test_a_text_is_an_error_that_names_the_model(encoder: Encoder) -> None:
    with pytest.raises(NoTexts, match=f"^{encoder.info.model} is an image-only model: .*; search by image, or start"):
        encoder.prepare_text("a drawing")
    assert NoTexts("x").status == 501
    copy = pickle.loads(pickle.dumps(encoder.preparer))
    with pytest.raises(NoTexts):
        copy.prepare_text("a drawing")


def test_it_warms_up_and_runs_recorded_as_on_a_gpu(encoder: Encoder) -> None:
    encoder.warm_up(4)
    recordings = Recordings()
    assert isinstance(encoder, TorchEncoder)
    recorded = TorchEncoder(
        encoder.towers, image_only.RefusingTokenizer("x"), encoder.preparer.recipe, encoder.info, recorder=recordings
    )
    recorded.warm_up(2)
    pages = [encoder.prepare_image(draw_page(seed)) for seed in range(3)]
    assert apart(recorded.encode_images(pages), encoder.encode_images(pages)) < 1e-6


def test_bf16_is_near_and_int8_is_refused(folder: Path, encoder: Encoder) -> None:
    pages = [encoder.prepare_image(draw_page(1))]
    assert apart(load(folder, "bf16").encode_images(pages), encoder.encode_images(pages)) < 1e-3
    with pytest.raises(SettingsError, match="CLIP_PRECISION='int8' is for plain CLIP transformers"):
        load(folder, "int8")


def test_the_doctor_measures_images_and_says_that_there_are_no_texts(encoder: Encoder) -> None:
    lines = "\n".join(measure_encoder(inspect_machine(), encoder, len, DoctorLoad(2, 0.1), ("fp32", "bf16")))
    assert "no texts (an image-only model), " in lines and "texts/s" not in lines


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "is not the configuration of an image-only model"),
        ({"image_size": 96}, "is not the configuration of an image-only model .KeyError: 'architecture'"),
        ({"architecture": "resnet18", "image_size": "big"}, "is not the configuration of an image-only model"),
        ({"architecture": "resnet50", "image_size": 96}, "names 'resnet50'; image-only models are resnet18"),
        ({"architecture": "resnet18", "image_size": 8}, "has the image_size 8; the least is 32"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_explained(tmp_path: Path, config: object, reason: str) -> None:
    (tmp_path / CONFIG).write_text(config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(ModelUnavailable, match=f"{CONFIG} {reason}"):
        load(tmp_path)


def test_weights_that_are_missing_or_do_not_fit_are_explained(folder: Path, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    with pytest.raises(ModelUnavailable, match=f"{WEIGHTS} cannot be read"):
        load(tmp_path)
    weights = load_file(folder / WEIGHTS)
    save_file({name: weights[name] for name in weights if name != "conv1.weight"}, tmp_path / WEIGHTS)
    with pytest.raises(ModelUnavailable, match=r"the weights in .* do not fit their configuration"):
        load(tmp_path)
    weights["conv1.weight"][0, 0, 0, 0] = torch.nan
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ModelUnavailable, match="has weights that are no numbers: 1 of"):
        load(tmp_path)
