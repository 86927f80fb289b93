"""Two models on the same images."""

from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.compare import ModelRanks, compare_models

PATHS = tuple(f"{number}.png" for number in range(100))
GOOD = ModelRanks("A (good)", PATHS, {("text->image", "en"): np.ones(100, dtype=np.int64)})
BAD = ModelRanks("B (bad)", PATHS, {("text->image", "en"): np.where(np.arange(100) < 40, 1, 50)})


def test_a_significant_difference_names_the_better_model() -> None:
    row = compare_models(GOOD, BAD).rows[0]
    assert (row["measure"], row["difference"], row["verdict"]) == ("recall@1", pytest.approx(0.6), "A (good) is better")
    assert compare_models(BAD, GOOD).rows[0]["verdict"] == "A (good) is better"


def test_a_difference_of_chance_is_not_significant() -> None:
    almost = replace(GOOD, ranks={("text->image", "en"): np.where(np.arange(100) < 1, 50, 1)})
    assert compare_models(GOOD, almost).rows[0]["verdict"] == "no significant difference on these 100 images"


def test_models_on_different_images_are_not_compared() -> None:
    with pytest.raises(InputError, match=r"could not read the same images \(99.png"):
        compare_models(GOOD, replace(BAD, paths=PATHS[:-1]))
