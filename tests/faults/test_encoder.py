"""A model that fails: no other item is affected, and the error names the item."""

import numpy as np
import pytest

from tests.faults.encoders import POISON
from tests.faults.pictures import plain
from tests.faults.processes import Sidecar
from tests.faults.requests import base64_of, expected, fresh, held, refusal, settle, text_vectors, together

HOLD_SECONDS = 0.8


@pytest.mark.parametrize("word", ["poison", "nan", "fewer"])
def test_an_item_that_spoils_its_batch_fails_alone(sidecar: Sidecar, word: str) -> None:
    bad, good = fresh(word), [fresh("good") for _ in range(6)]
    with together() as start:
        with held(sidecar, HOLD_SECONDS):
            first = [start(sidecar.vectorize, [text]) for text in good[:3]]
            spoiler = start(sidecar.vectorize, [bad])
            last = [start(sidecar.vectorize, [text]) for text in good[3:]]
        assert refusal(spoiler.result(), 500)
        for text, answer in zip(good, first + last, strict=True):
            np.testing.assert_array_equal(text_vectors(answer.result()), expected([text]))
    assert any(bad in marks and len(marks) > 1 for marks in sidecar.passes()), "the test never made a common batch"


@pytest.mark.parametrize("word", ["alone", "few"])
def test_a_batch_that_fails_only_together_is_answered_one_by_one(sidecar: Sidecar, word: str) -> None:
    texts = [fresh(word), *(fresh("good") for _ in range(5))]
    np.testing.assert_array_equal(text_vectors(sidecar.vectorize(texts)), expected(texts))


def test_the_error_names_the_item_that_failed(sidecar: Sidecar) -> None:
    answer = sidecar.vectorize([fresh("good"), fresh("good"), fresh("poison")])
    assert "texts[2]" in refusal(answer, 500)
    answer = sidecar.vectorize([fresh("good")], [base64_of(plain((9, 9, 9))), base64_of(plain(POISON))])
    assert "images[1]" in refusal(answer, 500)


def test_poison_in_two_requests_at_once_fails_both(sidecar: Sidecar) -> None:
    bad = fresh("poison")
    with together() as start, held(sidecar, HOLD_SECONDS):
        answers = [start(sidecar.vectorize, [fresh("good")] * n + [bad]) for n in (0, 2)]
        settle()
    assert "texts[0]" in refusal(answers[0].result(), 500)
    assert "texts[2]" in refusal(answers[1].result(), 500)


def test_a_failure_is_not_remembered(sidecar: Sidecar) -> None:
    text = fresh("once")
    answers = [sidecar.vectorize([text]) for _ in range(3)]
    assert refusal(answers[0], 500)
    np.testing.assert_array_equal(text_vectors(answers[-1]), expected([text]))


def test_an_error_of_the_model_contains_no_code(sidecar: Sidecar) -> None:
    sentence = refusal(sidecar.vectorize([fresh("poison")]), 500)
    assert "Traceback" not in sentence and ".py" not in sentence
