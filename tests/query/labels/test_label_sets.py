from dataclasses import replace

import pytest

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.labels.label_sets import compute_set_id, list_set_labels, resolve_label_set, store_part
from clip_vectorizer.query.labels.label_store import Label, build_labels
from clip_vectorizer.query.prompts import PromptSet, select_prompt_set
from clip_vectorizer.query.zeroshot.classify import ClassificationStores, ClassifyContext, ClassifyOptions, classify
from tests.query.fakes import INFO, FakeSidecar
from tests.query.zeroshot_fakes import FakeSets, stores

WORD, AUTO = select_prompt_set("word"), select_prompt_set()


def use(sets: FakeSets, entries: list[str], prompts: PromptSet = AUTO, name: str = "colours") -> list[Label]:
    """Use a set as classification does, without storing the labels."""
    labels, new_part = resolve_label_set(name, entries, prompts, INFO, sets)
    if new_part:
        store_part(new_part, sets)
    return labels


def test_a_new_set_is_used_by_its_name_with_its_prompts() -> None:
    sets = FakeSets()
    created = use(sets, ["red", "blue: the sky / the sea"], WORD)
    assert use(sets, []) == created
    assert created[1].prompts == ("the sky", "the sea")
    assert list_set_labels("colours", sets) == ["red", "blue: the sky / the sea"]


def test_kinds_of_pages_come_with_the_project_and_need_no_set_in_the_database() -> None:
    sets = FakeSets()
    labels = use(sets, [], name="page-kinds")
    kinds = ["drawing", "schematic", "chart", "table", "text", "photograph", "form", "map", "empty"]
    assert [label.text for label in labels] == kinds and sets.names() == []
    assert "a scan of a blueprint of a mechanical part" in labels[0].prompts
    assert not any(" a a " in prompt or "{}" in prompt for label in labels for prompt in label.prompts)
    assert list_set_labels("page-kinds", sets)[8] == "empty: an empty white page / a blank sheet of paper"
    assert [label.prompts[0] for label in use(sets, [], WORD, "page-kinds")][5] == "a photograph"


def test_a_label_added_to_the_kinds_of_pages_makes_a_set_with_all_of_them() -> None:
    sets = FakeSets()
    extended = use(sets, ["cover: the cover of a book"], name="page-kinds")
    assert [label.text for label in extended][-2:] == ["empty", "cover"] and len(extended) == 10
    assert use(sets, [], name="page-kinds") == extended and len(list_set_labels("page-kinds", sets)) == 10


def test_a_set_grows_and_keeps_the_order() -> None:
    sets = FakeSets()
    use(sets, ["red", "blue"], WORD)
    assert [label.text for label in use(sets, ["green", "red"])] == ["red", "blue", "green"]
    assert [label.prompts for label in use(sets, [])] == [("red",), ("blue",), ("green",)]


def test_two_processes_can_add_to_a_set_at_once() -> None:
    sets = FakeSets()
    use(sets, ["red", "blue"])
    parts = [resolve_label_set("colours", [entry], AUTO, INFO, sets)[1] for entry in ("green", "black", "Green")]
    for part in filter(None, parts):  # each read the set before the others wrote
        store_part(part, sets)
    assert list_set_labels("colours", sets) == ["red", "blue", "green", "black"]
    assert len(use(sets, [])) == 4


@pytest.mark.parametrize(
    ("entries", "prompts", "sentence"),
    [
        (
            ["red", "black"],
            select_prompt_set("photo"),
            "was created with other prompts or another model in the meantime; run this",
        ),
        (["red", "blue: the sky"], WORD, "has 'blue' already, not 'blue: the sky'"),
    ],
)
def test_a_set_created_otherwise_in_the_meantime_raises(entries: list[str], prompts: PromptSet, sentence: str) -> None:
    sets = FakeSets()
    late = resolve_label_set("colours", entries, prompts, INFO, sets)[1]
    use(sets, ["red", "blue"], WORD)
    assert late is not None
    with pytest.raises(InputError, match=sentence):
        store_part(late, sets)
    assert list_set_labels("colours", sets) == ["red", "blue"]


def test_using_a_set_writes_nothing() -> None:
    sets = FakeSets()
    use(sets, ["red", "blue"])
    assert resolve_label_set("colours", [], AUTO, INFO, sets)[1] is None
    assert resolve_label_set("colours", ["blue"], AUTO, INFO, sets)[1] is None


@pytest.mark.parametrize(
    ("entries", "prompts", "sentence"),
    [
        (["red: a rose"], AUTO, "has 'red' already, not 'red: a rose'"),
        (["green"], select_prompt_set("photo"), "has the prompts word, not photo"),
        (["green", "Green"], AUTO, "given twice"),
        (["green", ""], AUTO, "is empty"),
    ],
)
def test_labels_that_do_not_fit_leave_a_set_unchanged(entries: list[str], prompts: PromptSet, sentence: str) -> None:
    sets = FakeSets()
    use(sets, ["red", "blue"], WORD)
    with pytest.raises(InputError, match=sentence):
        use(sets, entries, prompts)
    assert list_set_labels("colours", sets) == ["red", "blue"]


def test_an_unknown_set_raises_with_a_suggestion() -> None:
    sets = FakeSets()
    with pytest.raises(InputError, match="no label set is called 'colors'; there is page-kinds: --labels"):
        use(sets, [], name="colors")
    use(sets, ["red", "blue"])
    with pytest.raises(InputError, match=r"'colors'; did you mean colours\? there are colours"):
        use(sets, [], name="colors")
    with pytest.raises(InputError, match=r"did you mean colours\?"):
        list_set_labels("colors", sets)


def test_one_label_is_not_a_set() -> None:
    with pytest.raises(InputError, match="one label given"):
        use(FakeSets(), ["red"])


def test_a_name_is_needed() -> None:
    with pytest.raises(InputError, match="empty name"):
        use(FakeSets(), ["red", "blue"], name=" ")


def test_a_set_of_another_model_raises_with_both_models_and_the_next_step() -> None:
    sets = FakeSets()
    use(sets, ["red", "blue"])
    other = replace(INFO, model="other", revision="1" * 16)
    with pytest.raises(Mismatch, match=r"made with the model hash .* runs other .* .--label-set colours2"):
        resolve_label_set("colours", [], AUTO, other, sets)


class Killed(BaseException):
    """Like a killed process: nothing catches it."""


class DyingSets(FakeSets):
    def put(self, part: object) -> None:
        raise Killed


def test_a_run_that_ends_before_the_set_is_written_leaves_labels_and_no_set() -> None:
    on = replace(stores(), sets=DyingSets())
    with pytest.raises(Killed):
        start(on)
    assert on.sets.get("colours") is None
    assert len(on.labels.vectors([label.id for label in build_labels(["red", "blue"], None, INFO)])) == 2
    again = replace(on, sets=FakeSets())
    start(again)
    assert list_set_labels("colours", again.sets) == ["red", "blue"]


def start(on: ClassificationStores) -> None:
    classify(
        [], ["red", "blue"], None, None, ClassifyOptions(label_set="colours"), ClassifyContext(INFO, FakeSidecar(), on)
    )


def test_the_id_of_a_set_has_its_name_and_a_digest_of_its_labels() -> None:
    two, three = build_labels(["red", "blue"], None, INFO), build_labels(["red", "blue", "green"], None, INFO)
    assert compute_set_id(two, "colours") == compute_set_id(two[::-1], "colours") != compute_set_id(three, "colours")
    assert compute_set_id(two, "colours").startswith("colours@") and "@" not in compute_set_id(two)
