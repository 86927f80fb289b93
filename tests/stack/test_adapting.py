"""What goes beyond plain CLIP, through a real database: few-shot cache, linear probe, mean removal, "none of these"."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification, ImageSearch, few_shot, linear_probe, remove_means
from clip_vectorizer.query.labels.label import parse_label
from clip_vectorizer.query.zeroshot.scores import Boost
from tests.stack.support import EXAMPLES, REPOSITORY, Ran

pytestmark = pytest.mark.stack

POLYSEMY = REPOSITORY / "examples" / "polysemy"
LABELS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
FIVE_POINTS = 0.05


def classified(search: ImageSearch, boost: Boost | None = None, other: float | None = None) -> list[Classification]:
    return list(search.classify(None, LABELS, boost=boost, other=other))


def right(results: Sequence[Classification]) -> float:
    """The share that got its folder's name."""
    return sum(result.label == Path(result.path).parent.name for result in results) / len(results)


@pytest.fixture
def plain(search: ImageSearch) -> float:
    return right(classified(search))


def test_sixteen_shots_from_the_database_gain_five_points_though_none_votes_for_itself(
    search: ImageSearch, plain: float
) -> None:
    results = classified(search, few_shot("label", shots=16))
    assert right(results) >= plain + FIVE_POINTS
    assert right(results) < 0.9  # with its own vote each shot, four images in five, would be right
    assert classified(search, few_shot("label", shots=16)) == results  # the same shots every time


def test_a_shot_that_comes_back_as_a_file_does_not_vote_for_itself_either(search: ImageSearch) -> None:
    stored = {result.path: result for result in classified(search, few_shot())}
    paths = ["fruit/banana.png", "weather/fire.png", "tools/hammer.png", "birds/owl.png"]
    of_files = search.classify([EXAMPLES / path for path in paths], LABELS, boost=few_shot())
    for path, result in zip(paths, of_files, strict=True):
        assert (result.label, result.score) == (stored[path].label, pytest.approx(stored[path].score, abs=1e-3))


def test_the_probe_and_removed_means_answer_for_every_image(search: ImageSearch, plain: float) -> None:
    assert right(classified(search, linear_probe("label", shots=4))) >= plain + FIVE_POINTS
    assert abs(right(classified(search, remove_means())) - plain) < FIVE_POINTS


def test_none_of_these_is_a_least_share_where_shots_vote(search: ImageSearch) -> None:
    results = classified(search, few_shot(), other=0.5)
    without = {result.path: result for result in classified(search, few_shot())}
    assert 0 < sum(result.label == "other" for result in results) < len(results)
    for result in results:
        known = without[result.path].score >= 0.5
        assert (result.label == without[result.path].label) if known else (result.label == "other")


@pytest.mark.parametrize(
    ("labels", "boost", "sentence"),
    [
        (["fruit", "birds"], few_shot("lable"), "did you mean label"),
        (["fruits", "bird"], few_shot("label"), "did you mean fruit"),
        (["fruit", "no such thing"], linear_probe("label"), "only the label 'fruit'"),
    ],
)
def test_shots_that_are_not_there_are_named(
    search: ImageSearch, labels: list[str], boost: Boost, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        search.classify(None, labels, boost=boost)


def test_the_command_has_a_flag_for_each(run: Callable[..., Ran], examples: str, tmp_path: Path) -> None:
    for name, drawing in (("fruit", "fruit/banana"), ("birds", "birds/owl"), ("else", "tools/hammer")):
        (tmp_path / name).mkdir()
        shutil.copy(EXAMPLES / f"{drawing}.png", tmp_path / name)
    words = ("clip-classify", "--collection", examples, "--labels", "fruit,birds", "--limit", "5", "--json")
    chosen = run(*words, "--few-shot", "label", "--shots", "4", "--other-from", tmp_path)
    assert "balanced accuracy" in chosen.stderr
    assert {row["label"] for row in chosen.rows} <= {"fruit", "birds", "other"}
    refused = run(*words, "--few-shot", "label", "--remove-means", expect=2)
    assert "exclude each other" in refused.stderr


def pictures() -> Iterator[tuple[Path, str]]:
    """Of words with two meanings, each with its word."""
    for file in sorted(POLYSEMY.rglob("*.png")):
        yield file, file.parent.name.split(" (")[0]


def labels_in(file: str) -> list[str]:
    return (POLYSEMY / file).read_text(encoding="utf-8").splitlines()


def share(search: ImageSearch, labels: list[str], truth: Callable[[Path, str], str]) -> float:
    results = search.classify([file for file, _ in pictures()], labels, prompts="word")
    pairs = zip(results, pictures(), strict=True)
    return sum(result.label == truth(*picture) for result, picture in pairs) / len(list(pictures()))


def test_descriptions_of_both_meanings_find_what_a_bare_word_does_not(search: ImageSearch) -> None:
    told = labels_in("labels.txt")
    bare = share(search, [parse_label(line)[0] for line in told], lambda _, word: word)
    assert share(search, told, lambda _, word: word) >= bare + 0.1  # 19 points when this was written


def test_one_label_a_meaning_tells_the_meanings_apart(search: ImageSearch) -> None:
    chance = 1 / 20
    assert share(search, labels_in("meanings.txt"), lambda file, _: file.parent.name) >= 4 * chance
