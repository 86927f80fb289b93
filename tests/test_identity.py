from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.identity import StoredModel

EMOJI = StoredModel("emoji", "abc", 192, "shortest-48-bicubic-v1")


@given(st.builds(StoredModel, st.text(), st.text(), st.integers(1, 4096), st.text()))
def test_json_gives_back_the_model(model: StoredModel) -> None:
    assert StoredModel.from_json(model.to_json()) == model


@pytest.mark.parametrize("text", [None, "", "photos of my cat", "[]", "{}", '{"model": "emoji"}', "null"])
def test_a_description_that_is_not_ours_holds_no_model(text: str | None) -> None:
    assert StoredModel.from_json(text) is None


@pytest.mark.parametrize("other", [{"revision": "x"}, {"dimension": 512}, {"preprocessing": "squash-48"}])
def test_models_that_differ_in_what_makes_vectors_disagree(other: dict[str, object]) -> None:
    assert not EMOJI.agrees_with(replace(EMOJI, **other))


def test_the_same_weights_under_another_name_agree() -> None:
    assert EMOJI.agrees_with(replace(EMOJI, model="local-dir:/models/emoji"))
