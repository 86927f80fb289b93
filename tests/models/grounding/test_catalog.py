"""Which grounder a name loads."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import HEAD_FILE, choose_scorer, load_grounder
from clip_vectorizer.models.grounding.comparison import KINDS, Calibration
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.head_file import (
    NAMES,
    describe_head,
    load_tower,
    quantize_names,
    select_own_weights,
    start_network,
)
from clip_vectorizer.models.grounding.phrases import PhraseScorer
from clip_vectorizer.models.grounding.tiles import TileGrounder
from tests.models.small import CPU

CHANNELS = 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled model without a head."""
    return Path(shutil.copytree(EMOJI_DIRECTORY, tmp_path / "model", ignore=shutil.ignore_patterns(HEAD_FILE)))


def load(folder: Path) -> Encoder:
    return load_encoder(ModelName(f"local-dir:{folder}"), CPU)


def save_random_head(folder: Path, encoder: Encoder, kinds: Sequence[str] = KINDS) -> None:
    network = start_network(load_tower(folder), CHANNELS)
    weights = select_own_weights(network, network.state_dict(), ())
    weights[NAMES] = quantize_names(encoder.encode_texts([encoder.prepare_text(name) for name in ("a cat", "an owl")]))
    calibrations = dict.fromkeys(kinds, Calibration((20.0, -20.0, 0.5), 0.0))
    save_file(weights, folder / HEAD_FILE, dict(describe_head(encoder, CHANNELS, calibrations)))


def test_a_model_with_a_trained_head_has_it_by_itself_and_tiles_by_name(folder: Path) -> None:
    encoder = load(folder)
    assert isinstance(load_grounder("auto", encoder), TileGrounder)
    save_random_head(folder, encoder)
    assert isinstance(load_grounder("auto", encoder), HeadGrounder)
    assert isinstance(load_grounder("head", encoder), HeadGrounder)
    assert isinstance(load_grounder("tiles", encoder), TileGrounder)


def test_a_trained_head_scores_stored_regions_and_the_model_itself_where_there_is_none(folder: Path) -> None:
    encoder = load(folder)
    for name in ("none", "tiles"):
        assert isinstance(choose_scorer(load_grounder(name, encoder), encoder), PhraseScorer)
    save_random_head(folder, encoder)
    grounder = load_grounder("head", encoder)
    assert choose_scorer(grounder, encoder) is grounder


def test_a_head_without_a_calibration_is_of_another_version(folder: Path) -> None:
    encoder = load(folder)
    save_random_head(folder, encoder, KINDS[:3])
    with pytest.raises(ModelUnavailable, match="has no unrated: it is no head of this version"):
        load_grounder("head", encoder)


def test_the_head_lists_a_phrase_that_is_longer_than_the_context(folder: Path) -> None:
    encoder = load(folder)
    save_random_head(folder, encoder)
    grounder = load_grounder("head", encoder)
    assert grounder is not None
    found = grounder.ground(Image.new("RGB", (64, 64)), [["a cat"], ["word " * 60]])
    assert found.truncated == {1: encoder.info.context_length}
