"""The program `examples/chinese.py` over a real sidecar: with the bundled model, and by the same code with Taiyi."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessor

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.query.prompts import PROMPTS, fill_templates
from clip_vectorizer.query.zeroshot.scores import softmax
from clip_vectorizer.vectors import ensemble
from tests.documents import REPOSITORY
from tests.models.chinese_models import CLIP_PROCESSOR, ReferenceModel, save_taiyi
from tests.models.small import CPU
from tests.server.clients import serving

EXAMPLE = REPOSITORY / "examples" / "chinese.py"
GREY_LEVELS = 0.005  # of a share: Pillow and torch resize to pixels that differ by a grey level here and there


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def taiyi(tmp_path: Path) -> Iterator[tuple[ReferenceModel, str]]:
    reference = save_taiyi(tmp_path)
    with serving(load_encoder(ModelName(f"taiyi:{tmp_path}/text,{tmp_path}/image"), CPU)) as sidecar:
        yield reference, sidecar.url


def test_the_bundled_model_finds_the_pig_and_the_tiger(
    program: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(load_encoder(ModelName("emoji"), CPU)) as sidecar:
        monkeypatch.setenv("VECTORIZER_URL", sidecar.url)
        program["main"](program["PICTURES"])
    model, pig, tiger = capsys.readouterr().out.splitlines()
    assert model == "emoji"
    assert pig.startswith("  pig.png: 猪 ") and tiger.startswith("  tiger.png: 虎 ")


def test_with_taiyi_the_program_computes_the_scores_of_transformers(
    program: dict[str, Any], taiyi: tuple[ReferenceModel, str]
) -> None:
    """Random weights cannot be right; that the scores are the reference's shows that the right ones would be."""
    reference, url = taiyi
    with VectorizerClient(url) as sidecar:
        ours = np.array(program["classify_files"](sidecar, program["PICTURES"]))
    theirs = reference_shares(reference, program["LABELS"], program["PICTURES"])
    assert (ours.shape, ours.sum(1)) == ((2, 4), pytest.approx(1))
    np.testing.assert_allclose(ours, theirs, atol=GREY_LEVELS)
    assert np.ptp(theirs) > 5 * GREY_LEVELS


def reference_shares(reference: ReferenceModel, labels: list[str], files: list[Path]) -> np.ndarray:
    """As the model's card has it, with the mean over the prompts in place of one text a label."""
    pictures = [on_white(file) for file in files]
    pixels = CLIPImageProcessor(**CLIP_PROCESSOR)(pictures, return_tensors="pt")["pixel_values"]
    prompts = np.stack([reference.texts(fill_templates(PROMPTS["zh-photo-7"], label), 64) for label in labels])
    scale = reference.image.logit_scale.exp().item()
    return softmax(scale * reference.images(pixels) @ ensemble(prompts).T)


def on_white(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        drawn = picture.convert("RGBA")
    ground = Image.new("RGBA", drawn.size, "white")
    ground.alpha_composite(drawn)
    return ground.convert("RGB")
