"""The bundled model, which loads without open_clip, against open_clip."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageDraw

from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.local_dir import load_plain_towers, read_config
from clip_vectorizer.models.packed_resnet import PackedResNet, pack_resnet
from clip_vectorizer.models.plain import ResNetTower
from tests.models.small import CPU, apart

TEXTS = ["apple", "a drawing of two green leaves", "红苹果", "", "😀 MIXED case"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(ModelName("emoji"), CPU)


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    return open_clip.create_model(f"local-dir:{EMOJI_DIRECTORY}").eval().requires_grad_(False)


def drawing() -> Image.Image:
    image = Image.effect_noise((144, 100), 40).convert("RGB")
    ImageDraw.Draw(image).ellipse((20, 10, 90, 80), fill="orange", outline="black")
    return image


def test_its_texts_are_open_clips_within_a_millionth(encoder: Encoder, reference: open_clip.CLIP) -> None:
    prepared = [encoder.prepare_text(text) for text in TEXTS]
    full = torch.tensor([[*text.ids, *[0] * (encoder.info.context_length - len(text.ids))] for text in prepared])
    assert apart(encoder.encode_texts(prepared), reference.encode_text(full, normalize=True).numpy()) <= 1e-6


def test_its_images_are_open_clips_within_a_millionth(encoder: Encoder, reference: open_clip.CLIP) -> None:
    transform = image_transform_v2(PreprocessCfg(**reference.visual.preprocess_cfg), is_train=False)
    image = drawing()
    expected = reference.encode_image(transform(image)[None], normalize=True).numpy()
    pixels = encoder.prepare_image(image)
    grey = transform(image).permute(1, 2, 0).numpy() * 127.5 + 127.5
    assert np.abs(grey - pixels).mean() < 0.2
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    exact = reference.encode_image(batch, normalize=True).numpy()
    assert apart(encoder.encode_images([pixels]), exact) <= 1e-6
    assert apart(encoder.encode_images([pixels]), expected) <= 1e-4  # a grey level here and there


def test_an_image_has_the_same_vector_in_any_company(encoder: Encoder) -> None:
    image, other = (encoder.prepare_image(each) for each in (drawing(), Image.new("RGB", (60, 60), "blue")))
    alone, together = encoder.encode_images([image]), encoder.encode_images([other, image, other])
    assert apart(together[1:2], alone) <= 1e-6


def test_a_long_text_is_cut_and_keeps_its_end_token(encoder: Encoder) -> None:
    text, end = encoder.prepare_text("banana " * 100), encoder.prepare_text("").ids[-1]
    assert text.cut
    assert (len(text.ids), text.ids[-1]) == (encoder.info.context_length, end)
    assert not encoder.prepare_text("banana").cut


def test_many_threads_may_prepare_at_once(encoder: Encoder) -> None:
    texts = [f"number {n} of many" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(encoder.prepare_text, texts)) == [encoder.prepare_text(text) for text in texts]


def test_the_revision_is_a_digest_of_the_weights(encoder: Encoder) -> None:
    again = load_encoder(ModelName(f"local-dir:{EMOJI_DIRECTORY}"), CPU)
    assert again.info.revision == encoder.info.revision
    assert again.info.model == f"local-dir:{EMOJI_DIRECTORY}"


def test_it_loads_without_open_clip_and_transformers() -> None:
    program = """if True:
        import sys
        from clip_vectorizer.models.catalog import ModelName, load_encoder
        from clip_vectorizer.models.devices import Placement
        load_encoder(ModelName("emoji"), Placement())
        slow = {"open_clip", "transformers", "torchvision", "timm"} & set(sys.modules)
        sys.exit(f"imported {slow}" if slow else 0)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("count", [1, 5, 64])
@pytest.mark.parametrize("side", [64, 50])
def test_its_packed_image_tower_computes_what_torchs_modules_compute(count: int, side: int) -> None:
    tower = load_plain_towers(EMOJI_DIRECTORY, read_config(EMOJI_DIRECTORY)["model_cfg"]).visual
    assert isinstance(tower, ResNetTower)
    packed = pack_resnet(tower, torch.float32)
    assert isinstance(packed, PackedResNet)
    pixels = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        rows = [torch.nn.functional.normalize(each(pixels), dim=-1).numpy() for each in (packed, tower)]
    assert apart(*rows) <= 1e-6


def test_without_onednn_its_image_tower_is_torchs_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._C, "_has_mkldnn", False)
    tower = load_plain_towers(EMOJI_DIRECTORY, read_config(EMOJI_DIRECTORY)["model_cfg"]).visual
    assert isinstance(tower, ResNetTower) and isinstance(pack_resnet(tower, torch.float32), ResNetTower)
