"""Named label sets: stored in the database, extended at any time, never incomplete, and of one model."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.stack.acceptance.in_process import LABEL_SETS, Command, ran, stored_sets
from tests.stack.faults.proxy import FlakySidecar
from tests.stack.faults.relay import DROP
from tests.stack.support import EXAMPLES, Ran, Stack

pytestmark = pytest.mark.stack

CASTLE, PANDA, GUITAR = (
    EXAMPLES / f"{name}.png" for name in ("buildings/castle", "animals/panda", "musical instruments/guitar")
)


@pytest.fixture
def name() -> str:
    return f"set-{uuid4().hex[:8]}"


def competing(answer: Ran) -> set[str]:
    return {row[place] for row in answer.rows for place in ("label", "runner_up")}


def objects(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stored_sets(stack) if one["properties"]["name"] == name]


def test_a_set_is_created_used_by_name_and_extended(clip_classify: Command, name: str) -> None:
    clip_classify(CASTLE, "--labels", "panda,violin", "--label-set", name)
    assert competing(clip_classify(CASTLE, "--label-set", name, "--json")) == {"panda", "violin"}
    [grown] = clip_classify(CASTLE, "--label-set", name, "--labels", "castle", "--json").rows
    assert grown["label"] == "castle"
    [later] = clip_classify(CASTLE, "--label-set", name, "--json").rows
    assert later["label"] == "castle" and later["runner_up"] in ("panda", "violin")


def test_a_set_is_extended_with_its_own_prompts(clip_classify: Command, stack: Stack, name: str) -> None:
    first, second = (f"thing {uuid4().hex[:8]}" for _ in range(2))
    clip_classify(CASTLE, "--labels", f"{first},dog", "--template", "one {} here", "--label-set", name)
    clip_classify(CASTLE, "--labels", second, "--label-set", name)
    where = f'{{path: ["label"], operator: Equal, valueText: "{second}"}}'
    [row] = stack.graphql(f"{{Get {{ImageLabel(where: {where}) {{prompts}}}}}}")
    assert row["prompts"] == [f"one {second} here"]


def test_sets_that_share_labels_do_not_mix(clip_classify: Command, name: str) -> None:
    clip_classify(CASTLE, "--labels", "castle,panda", "--label-set", name)
    clip_classify(CASTLE, "--labels", "panda,guitar", "--label-set", f"{name}-2")
    assert competing(clip_classify(GUITAR, CASTLE, "--label-set", name, "--json")) == {"castle", "panda"}
    assert competing(clip_classify(GUITAR, CASTLE, "--label-set", f"{name}-2", "--json")) == {"panda", "guitar"}


def test_a_second_run_embeds_nothing(stack: Stack, gallery: str, name: str) -> None:
    with proxied(stack) as flaky:
        words = ("clip-classify", "--collection", gallery, "--label-set", name)
        env = stack.env | {"VECTORIZER_URL": flaky.url}
        ran(env, *words, "--labels", f"panda,guitar,thing {name}")
        before = flaky.images
        ran(env, *words)
        assert flaky.images == before > 0


@contextmanager
def proxied(stack: Stack) -> Iterator[FlakySidecar]:
    with FlakySidecar() as flaky:
        flaky.upstream = stack.vectorizer_url
        yield flaky


def test_a_lost_sidecar_leaves_no_incomplete_set(stack: Stack, clip_classify: Command, name: str) -> None:
    with proxied(stack) as flaky:
        env = stack.env | {"VECTORIZER_URL": flaky.url}
        new = ",".join(f"thing {uuid4().hex[:8]}" for _ in range(30))
        words = ("clip-classify", CASTLE, "--label-set")
        flaky.play([DROP] * 40)
        ran(env, *words, name, "--labels", new, "--prompts", "photo-80", expect=4)
        assert objects(stack, name) == []
        assert "Traceback" not in ran(env, *words, name, expect=2).stderr
        flaky.behave()
        ran(env, *words, name, "--labels", "castle,panda")
        flaky.play([DROP] * 40)
        ran(env, *words, name, "--labels", new, expect=4)
    assert competing(clip_classify(CASTLE, "--label-set", name, "--json")) == {"castle", "panda"}


def test_a_set_of_another_model_is_refused_with_both_names(clip_classify: Command, stack: Stack, name: str) -> None:
    clip_classify(CASTLE, "--labels", "castle,panda", "--label-set", name)
    [stored] = objects(stack, name)
    changed = {key: swapped(value) for key, value in stored["properties"].items()}
    assert changed != stored["properties"], "the set remembers its model"
    address = f"/v1/objects/{LABEL_SETS}/{stored['id']}"
    stack.weaviate("PATCH", address, {"class": LABEL_SETS, "properties": changed}).raise_for_status()
    refused = clip_classify(CASTLE, "--label-set", name, expect=5)
    assert refused.stdout == ""
    assert "emoji" in refused.stderr and "ViT-B-32::openai" in refused.stderr
    assert "--label" in refused.stderr or "--vectorizer-url" in refused.stderr or "VECTORIZER_URL" in refused.stderr


def swapped(value: Any) -> Any:
    """Return the value that a set of another model has."""
    if value == "emoji":
        return "ViT-B-32::openai"
    return "0123456789abcdef" if isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) else value


def test_the_error_for_an_unknown_set_suggests_the_nearest(clip_classify: Command, name: str) -> None:
    clip_classify(CASTLE, "--labels", "castle,panda", "--label-set", name)
    refused = clip_classify(CASTLE, "--label-set", name + "x", expect=2)
    assert refused.stdout == "" and f"did you mean {name}?" in refused.stderr


def test_adding_existing_labels_changes_nothing(clip_classify: Command, name: str, tmp_path: Path) -> None:
    clip_classify(CASTLE, "--labels", "castle,panda", "--label-set", name)
    before = clip_classify(CASTLE, PANDA, "--label-set", name, "--json").rows
    again = clip_classify(CASTLE, PANDA, "--label-set", name, "--labels", "panda", "--json", expect=None)
    after = clip_classify(CASTLE, PANDA, "--label-set", name, "--json").rows
    assert again.exit_code in (0, 2) and after == before
