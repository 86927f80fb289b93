"""Bad labels are one sentence, and store nothing."""

from uuid import uuid4

import pytest

from tests.stack.acceptance.in_process import Command, stored_sets
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
def test_bad_labels_are_a_sentence_and_store_nothing(
    clip_classify: Command, stack: Stack, words: list[str], named: str
) -> None:
    name = f"set-{uuid4().hex[:8]}"
    refused = clip_classify(GUITAR, *words, *(["--label-set", name] if words else []), expect=2)
    assert refused.stdout == "" and named in refused.stderr
    assert name not in [one["properties"]["name"] for one in stored_sets(stack)]


def test_the_error_for_an_unknown_prompt_set_suggests_the_nearest(clip_classify: Command) -> None:
    refused = clip_classify(GUITAR, "--labels", "guitar,panda", "--prompts", "phto-80", expect=2)
    assert "did you mean photo-80?" in refused.stderr


def test_a_bad_filter_is_a_sentence(clip_classify: Command) -> None:
    refused = clip_classify("--labels", "guitar,panda", "--where", "labl=fruit", expect=2)
    assert refused.stdout == "" and "did you mean label?" in refused.stderr
