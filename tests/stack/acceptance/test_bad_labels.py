"""Labels that cannot be chosen between are a sentence, and leave nothing behind."""

from uuid import uuid4

import pytest

from tests.stack.acceptance.in_process import Ask, stored_sets
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

GUITAR = EXAMPLES / "musical instruments" / "guitar.png"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--labels", ""], "label"),
        (["--labels", "guitar"], "two"),
        (["--labels", "guitar,panda,guitar"], "guitar"),
        (["--labels", "guitar,,panda"], "label"),
        (["--labels", "@no-such-file.txt"], "no-such-file.txt"),
        (["--labels", "crane: ,dog"], "crane"),
        (["--labels", "guitar,panda", "--template", "no blank"], "no blank"),
        (["--labels", "guitar,panda", "--prompts", "fotos"], "fotos"),
        (["--labels", "guitar,panda", "--prompts", "@no-such-file.txt"], "no-such-file.txt"),
        (["--labels", "guitar,panda", "--prompts", "word", "--template", "{}"], "--template"),
        (["--labels", "guitar,panda", "--other-from", "no-such-folder"], "no-such-folder"),
        ([], "--labels"),
    ],
    ids=str,
)
def test_what_cannot_be_chosen_between_is_a_sentence_and_stores_nothing(
    classify: Ask, stack: Stack, words: list[str], named: str
) -> None:
    name = f"set-{uuid4().hex[:8]}"
    refused = classify(GUITAR, *words, *(["--label-set", name] if words else []), expect=2)
    assert refused.stdout == "" and named in refused.stderr
    assert name not in [one["properties"]["name"] for one in stored_sets(stack)]


def test_a_prompt_set_nobody_made_is_answered_by_the_nearest_one(classify: Ask) -> None:
    refused = classify(GUITAR, "--labels", "guitar,panda", "--prompts", "phto-80", expect=2)
    assert "did you mean photo-80?" in refused.stderr


def test_images_that_cannot_be_chosen_are_a_sentence(classify: Ask) -> None:
    refused = classify("--labels", "guitar,panda", "--where", "labl=fruit", expect=2)
    assert refused.stdout == "" and "did you mean label?" in refused.stderr
