import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.database.schema import CollectionDescription, StoredModel

EMOJI = StoredModel("emoji", "abc", 192, "shortest-48-bicubic-v1")


MODELS = st.builds(StoredModel, st.text(), st.text(), st.integers(1, 4096), st.text())
RETIRED = st.dictionaries(st.text(), st.integers(1, 4096))
DESCRIPTIONS = st.builds(CollectionDescription, MODELS, st.text(), st.text(), RETIRED, st.none() | MODELS)


@given(DESCRIPTIONS)
def test_json_gives_back_the_description(description: CollectionDescription) -> None:
    assert CollectionDescription.from_json(description.to_json()) == description


def test_a_description_of_an_earlier_version_kept_everything_and_has_the_first_vector() -> None:
    old = '{"model": "emoji", "revision": "abc", "dimension": 192, "preprocessing": "shortest-48-bicubic-v1"}'
    assert CollectionDescription.from_json(old) == CollectionDescription(EMOJI, keep="full", vector="clip")


@pytest.mark.parametrize("text", [None, "", "photos of my cat", "[]", "{}", '{"model": "emoji"}', "null", "3"])
def test_a_description_that_is_not_ours_is_none(text: str | None) -> None:
    assert CollectionDescription.from_json(text) is None


def test_only_a_difference_in_vectors_gets_another_vector_name() -> None:
    assert EMOJI.own_vector == replace(EMOJI, model="local-dir:/models/emoji").own_vector
    changes: list[dict[str, Any]] = [{"revision": "x"}, {"dimension": 512}, {"preprocessing": "squash-48"}]
    names = {EMOJI.own_vector, *(replace(EMOJI, **change).own_vector for change in changes)}
    assert len(names) == 4 and all(re.fullmatch("clip_[0-9a-f]{8}", name) for name in names)


@pytest.mark.parametrize("other", [{"revision": "x"}, {"dimension": 512}, {"preprocessing": "squash-48"}])
def test_models_that_differ_in_what_makes_vectors_disagree(other: dict[str, object]) -> None:
    assert not EMOJI.agrees_with(replace(EMOJI, **other))


def test_the_same_weights_under_another_name_agree() -> None:
    assert EMOJI.agrees_with(replace(EMOJI, model="local-dir:/models/emoji"))
