"""Captioners: what they write is what the libraries' own `generate` writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.captioning.captioner import Captioner
from clip_vectorizer.models.captioning.catalog import load_captioner
from clip_vectorizer.models.captioning.names import explain_captioner
from clip_vectorizer.models.pauses import set_break_work
from tests.models.captioning.coca_files import PICTURES, SEEDS, noise, save_coca
from tests.models.captioning.small_captioners import CAPTIONERS

RECORDED = json.loads((Path(__file__).parent / "coca.json").read_text(encoding="utf-8"))
SIZES = ((32, 32), (60, 40), (5, 90))

Load = Callable[[str], Captioner]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("captioners")
    return {kind: make(root / kind) for kind, make in CAPTIONERS.items()}


def load(name: str) -> Captioner:
    captioner = load_captioner(name, "cpu")
    assert captioner is not None
    return captioner


def generate(folder: Path, **texts: Any) -> list[str]:
    """The captions of transformers' own model and processor, one picture at a time."""
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    captions = []
    for size in SIZES:
        inputs = processor(images=noise(size=size).resize((max(size[0], 16), size[1])), **texts, return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**inputs, num_beams=3, do_sample=False, max_new_tokens=40)
        captions.append(processor.decode(tokens[0], skip_special_tokens=True).strip())
    return captions


@pytest.mark.parametrize(("kind", "texts"), [("blip", {}), ("florence2", {"text": "<CAPTION>"})])
def test_transformers_models_write_what_their_own_generate_writes(
    folders: dict[str, Path], kind: str, texts: dict[str, str]
) -> None:
    """Also in a batch of pictures of several sizes, and the same again."""
    captioner = load(f"transformers:{folders[kind]}")
    pictures = [noise(size=size) for size in SIZES]
    expected = generate(folders[kind], **texts)
    assert captioner.caption(pictures) == expected == captioner.caption(pictures)
    assert len(set(expected)) > 1, "the pictures make no difference"


@pytest.mark.parametrize("seed", SEEDS)
def test_coca_writes_what_open_clips_own_generate_writes(tmp_path: Path, seed: int) -> None:
    """Recorded by `record_coca`: with this transformers open_clip's `generate` does not run."""
    captioner = load(f"coca:{save_coca(tmp_path / 'coca', seed)}")
    pictures = [noise(each) for each in PICTURES]
    assert captioner.caption(pictures) == RECORDED[str(seed)]
    assert [captioner.caption([each])[0] for each in pictures] == RECORDED[str(seed)]


def test_other_work_runs_between_two_words(tmp_path: Path) -> None:
    captioner = load(f"coca:{save_coca(tmp_path / 'coca')}")
    breaks: list[int] = []
    set_break_work(lambda: breaks.append(1))
    try:
        [caption] = captioner.caption([noise()])
    finally:
        set_break_work(lambda: None)
    assert len(breaks) >= len(caption.split())


def test_equal_weights_have_one_revision(folders: dict[str, Path], tmp_path: Path) -> None:
    again = CAPTIONERS["blip"](tmp_path / "again")
    assert load(f"transformers:{again}").info.revision == load(f"transformers:{folders['blip']}").info.revision


def test_none_is_no_captioner() -> None:
    assert load_captioner("none", "cpu") is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("coca:ViT-B-32::openai", "no CoCa is called ViT-B-32; "),
        ("coca:coca_ViT-B-23::x", "did you mean coca_ViT-B-32"),
        ("coca:coca_ViT-B-32::x", "has no weights called 'x'; there are laion2b_s13b_b90k"),
        ("transformers:nowhere/at/all", "nowhere/at/all"),
        ("blip", "no captioner is called 'blip': expected none, coca:ARCHITECTURE::TAG or coca:PATH or transformers:"),
    ],
)
def test_a_name_that_cannot_be_loaded_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"captioner|coca|nowhere") as refused:
        load_captioner(name, "cpu")
    assert sentence in str(refused.value)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ModelUnavailable, match="model_type 'llava'; captions come from blip or florence2"):
        load_captioner(f"transformers:{tmp_path}", "cpu")


@pytest.mark.parametrize("name", ["none", "coca:a::b", "coca:folder", "transformers:org/name"])
def test_names_of_captioners_are_known_without_loading_one(name: str) -> None:
    assert explain_captioner(name) == ""
