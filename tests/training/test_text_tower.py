import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch.nn import functional as F

from clip_vectorizer.training.concept_texts import ConceptTexts
from clip_vectorizer.training.knowledge import NAME, TAG, ConceptText
from clip_vectorizer.training.text_tower import TextLessons, TextStage, naming_loss, owners_loss, train_text_tower
from clip_vectorizer.training.tokenizer import encode_token_ids, train_tokenizer
from clip_vectorizer.training.towers import embed_token_ids

NAMES = {"apple": "苹果", "pear": "梨", "car": "汽车", "bus": "公共汽车"}
TEXTS = ["a fruit", "a vehicle", "很快", "something sweet to eat"]
KNOWLEDGE = [
    [ConceptText(name, "en", NAME), ConceptText(f"{name} tag", "en", TAG), ConceptText(chinese, "zh", NAME)]
    for name, chinese in NAMES.items()
]
STAGE = TextStage(steps=40, peak=5e-3, warmup=5, average=0.9, general=4, owned=4)
CONTEXT = 12


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([*NAMES, *NAMES.values(), *TEXTS], 400, CONTEXT)


@pytest.fixture(scope="module")
def lessons() -> TextLessons:
    torch.manual_seed(3)
    targets, prototypes = F.normalize(torch.randn(4, 8), dim=1), F.normalize(torch.randn(4, 8), dim=1)
    return TextLessons(TEXTS, targets, ConceptTexts(KNOWLEDGE, []), prototypes)


def build_small_clip() -> CLIP:
    torch.manual_seed(4)
    vision = {"image_size": 16, "patch_size": 16, "width": 64, "layers": 1}
    text = {"context_length": CONTEXT, "vocab_size": 400, "width": 32, "heads": 2, "layers": 1}
    return CLIP(8, vision, text)


def compute_cosines(model: CLIP, tokenizer: Tokenizer, texts: list[str], rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return embed_token_ids(model.eval(), encode_token_ids(tokenizer, texts)) @ rows.T


def test_texts_come_near_their_targets_and_names_near_their_prototypes(
    tokenizer: Tokenizer, lessons: TextLessons, tmp_path: Path
) -> None:
    model = build_small_clip()
    model.load_state_dict(train_text_tower(model, tokenizer, lessons, STAGE, tmp_path / "text.checkpoint"))
    assert compute_cosines(model, tokenizer, TEXTS, lessons.targets_td).diagonal().min() > 0.7
    for names in (list(NAMES), list(NAMES.values())):
        assert compute_cosines(model, tokenizer, names, lessons.prototypes_nd).argmax(1).tolist() == [0, 1, 2, 3]


def test_naming_brings_names_to_their_prototypes(tokenizer: Tokenizer, lessons: TextLessons, tmp_path: Path) -> None:
    nearest = {}
    for naming in (0.0, 6.0):
        model, stage = build_small_clip(), replace(STAGE, naming=naming)
        state = train_text_tower(model, tokenizer, lessons, stage, tmp_path / f"{naming}.checkpoint")
        model.load_state_dict(state)
        nearest[naming] = compute_cosines(model, tokenizer, list(NAMES), lessons.prototypes_nd).diagonal().min()
    assert nearest[6.0] > 0.75
    assert nearest[6.0] > nearest[0.0] + 0.1


def test_naming_is_the_distance_of_texts_of_one_concept_only() -> None:
    vectors = F.normalize(torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, 4.0], [1.0, 0.0, 0.0]]), dim=1)
    assert naming_loss(vectors, [(0, 1), (2,), (0,)], torch.eye(3)).item() == pytest.approx((0.2 + 0) / 2)
    assert naming_loss(vectors, [(0, 1), (0, 2), (1, 2)], torch.eye(3)).item() == 0


def test_the_image_tower_is_left_alone(tokenizer: Tokenizer, lessons: TextLessons, tmp_path: Path) -> None:
    model = build_small_clip()
    before = {name: value.clone() for name, value in model.visual.state_dict().items()}
    train_text_tower(model, tokenizer, lessons, replace(STAGE, steps=2), tmp_path / "text.checkpoint")
    assert all(value.equal(before[name]) for name, value in model.visual.state_dict().items())


def test_without_texts_in_general_only_concepts_are_learned(
    tokenizer: Tokenizer, lessons: TextLessons, tmp_path: Path
) -> None:
    model = build_small_clip()
    stage = replace(STAGE, general=0)
    model.load_state_dict(train_text_tower(model, tokenizer, lessons, stage, tmp_path / "text.checkpoint"))
    assert compute_cosines(model, tokenizer, list(NAMES), lessons.prototypes_nd).argmax(1).tolist() == [0, 1, 2, 3]
    assert compute_cosines(model, tokenizer, TEXTS, lessons.targets_td).diagonal().min() < 0.3


def test_a_text_of_several_concepts_counts_for_each_in_equal_parts() -> None:
    prototypes = torch.eye(3)
    halfway = F.normalize(torch.tensor([[1.0, 1.0, 0.0]]), dim=1)
    shares = (5 * halfway @ prototypes.T).softmax(1)[0]
    expected = -(math.log(shares[0]) + math.log(shares[1])) / 2
    assert owners_loss(halfway, [(0, 1)], prototypes, 5).item() == pytest.approx(expected)
    assert owners_loss(halfway, [(0, 1)], prototypes, 5) < owners_loss(halfway, [(0, 2)], prototypes, 5)
