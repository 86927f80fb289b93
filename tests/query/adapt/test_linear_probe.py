"""The linear probe: logistic regression on shots and texts."""

import builtins
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.linear_probe import LinearProbe
from clip_vectorizer.query.zeroshot.scores import softmax
from clip_vectorizer.vectors import Vectors, unit
from tests.query.adapt.test_few_shot import clusters

AXES: Vectors = np.eye(4, 8, dtype=np.float32)


def test_the_probe_learns_from_the_shots() -> None:
    shots, classes = clusters(8)
    images, truth = clusters(5)
    probe = LinearProbe.fit(shots, classes, np.roll(AXES, 1, axis=0))  # although the texts are wrong
    assert (probe.logits(images).argmax(axis=1) == truth).mean() > 0.9


def test_logits_are_log_probabilities() -> None:
    shots, classes = clusters(4)
    logits = LinearProbe.fit(shots, classes, AXES).logits(shots)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(softmax(logits), np.exp(logits), atol=1e-5)


def test_a_label_without_shots_uses_its_text() -> None:
    shots, classes = clusters(4)
    probe = LinearProbe.fit(shots[classes < 3], classes[classes < 3], AXES)
    assert probe.logits(AXES).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_one_shot_of_each_label_is_enough() -> None:
    shots, classes = clusters(1)
    assert LinearProbe.fit(shots, classes, AXES).logits(unit(AXES)).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    shots, classes = clusters(2)
    with pytest.raises(InputError, match=r"clip-vectorizer\[eval\]"):
        LinearProbe.fit(shots, classes, AXES)
