"""From a label to its vector: prompt sets, templates, languages, descriptions; all stored as label objects."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import PROMPTS, ImageSearch
from tests.stack.acceptance.in_process import Command, unit
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

BANANA = EXAMPLES / "fruit" / "banana.png"


def read_label_object(stack: Stack, label: str) -> dict[str, Any]:
    """Return the only object of a label that no other test uses."""
    where = f'{{path: ["label"], operator: Equal, valueText: "{label}"}}'
    [row] = stack.graphql(
        f"{{Get {{ImageLabel(where: {where}) {{label prompts model _additional {{vectors {{clip}}}}}}}}}}"
    )
    return row


def read_vector(stored: dict[str, Any]) -> list[float]:
    return list(stored["_additional"]["vectors"]["clip"])


def new_label(word: str = "thing") -> str:
    """Return a label that no other test has stored."""
    return f"{word} {uuid4().hex[:8]}"


def ensemble(encoder: VectorizerClient, prompts: list[str]) -> np.ndarray:
    return unit(np.stack([unit(vector_d) for vector_d in encoder.embed_texts(prompts)]).mean(axis=0))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--prompts", "word"], 1),
        (["--prompts", "photo"], 1),
        (["--prompts", "photo-7"], 7),
        (["--prompts", "photo-80"], 80),
        (["--prompts", "zh-photo-7"], 7),
        (["--prompts", "zh-photo-80"], 80),
        (["--template", "a bad {} joke"], 1),
        (["--template", "a {}", "--template", "two of {}"], 2),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else str(value),
)
def test_a_label_is_the_unit_mean_of_its_prompts_unit_vectors(
    clip_classify: Command, stack: Stack, encoder: VectorizerClient, options: list[str], count: int
) -> None:
    label, other = new_label(), new_label()
    [row] = clip_classify(BANANA, "--labels", f"{label},{other}", *options, "--json").rows
    assert {row["label"], row["runner_up"]} == {label, other}
    stored = read_label_object(stack, label)
    assert len(set(stored["prompts"])) == count and all(label in prompt for prompt in stored["prompts"])
    np.testing.assert_allclose(
        stored["_additional"]["vectors"]["clip"], ensemble(encoder, stored["prompts"]), atol=1e-5
    )
    assert stored["model"] == "emoji"


def test_templates_may_come_from_a_file(clip_classify: Command, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a {} on wheels\n\nthe {} of my aunt\n", encoding="utf-8")
    label = new_label()
    clip_classify(BANANA, "--labels", f"{label},dog", "--prompts", f"@{tmp_path / 'mine.txt'}")
    assert read_label_object(stack, label)["prompts"] == [f"a {label} on wheels", f"the {label} of my aunt"]


def test_by_default_a_chinese_label_gets_chinese_prompts(clip_classify: Command, stack: Stack) -> None:
    chinese, english = new_label("香蕉"), new_label("banana")
    [row] = clip_classify(BANANA, "--labels", f"{chinese},{english}", "--json").rows
    assert {row["label"], row["runner_up"]} == {chinese, english}
    assert any("图" in prompt for prompt in read_label_object(stack, chinese)["prompts"])
    assert not any("图" in prompt for prompt in read_label_object(stack, english)["prompts"])


def test_a_label_with_descriptions_is_embedded_by_them_and_keeps_its_name(
    clip_classify: Command, stack: Stack, encoder: VectorizerClient
) -> None:
    crane = new_label("crane")
    options = ("--template", "a drawing of {}", "--template", "{}")
    [row] = clip_classify(BANANA, "--labels", f"{crane}: a yellow banana / a ripe banana,dog", *options, "--json").rows
    assert row["label"] == crane
    stored = read_label_object(stack, crane)
    wanted = ["a drawing of a yellow banana", "a yellow banana", "a drawing of a ripe banana", "a ripe banana"]
    assert sorted(stored["prompts"]) == sorted(wanted)
    np.testing.assert_allclose(read_vector(stored), ensemble(encoder, wanted), atol=1e-5)


def test_descriptions_come_line_by_line_from_a_file_of_labels(clip_classify: Command, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("first: a yellow banana / a ripe banana\nsecond: a dog, barking\n")
    [row] = clip_classify(BANANA, "--labels", f"@{tmp_path / 'labels.txt'}", "--json").rows
    assert (row["label"], row["runner_up"]) == ("first", "second")


def test_a_colon_without_a_space_is_part_of_the_name(clip_classify: Command) -> None:
    [row] = clip_classify(BANANA, "--labels", "12:30,16:9", "--json").rows
    assert {row["label"], row["runner_up"]} == {"12:30", "16:9"}


def test_the_eighty_templates_are_eighty_with_one_placeholder_each(search: ImageSearch) -> None:
    for name in ("photo-80", "zh-photo-80"):
        templates = list(getattr(PROMPTS[name], "templates", PROMPTS[name]))
        assert len(set(templates)) == 80
        assert all(template.count("{}") == 1 for template in templates)
    assert "a bad photo of a {}." in getattr(PROMPTS["photo-80"], "templates", PROMPTS["photo-80"])
