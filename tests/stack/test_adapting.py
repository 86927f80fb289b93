"""Boosts on a real database: few-shot cache, linear probe, mean removal, threshold for "other"."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification, ImageSearch, few_shot, linear_probe, remove_means
from clip_vectorizer.query.labels.label_store import parse_label
from clip_vectorizer.query.zeroshot.scores import Boost
from tests.stack.support import EXAMPLES, REPOSITORY, Ran

pytestmark = pytest.mark.stack

POLYSEMY = REPOSITORY / "examples" / "polysemy"
LABELS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
FIVE_POINTS = 0.05


def run_classify(
    search: ImageSearch, boost: Boost | None = None, threshold: float | None = None
) -> list[Classification]:
    return list(search.classify(None, LABELS, boost=boost, threshold=threshold))


def accuracy(results: Sequence[Classification]) -> float:
    """Share of images whose label is the name of their folder."""
    return sum(result.label == Path(result.path).parent.name for result in results) / len(results)


@pytest.fixture
def plain(search: ImageSearch) -> float:
    return accuracy(run_classify(search))


def test_sixteen_shots_gain_five_points_without_voting_for_themselves(search: ImageSearch, plain: float) -> None:
    results = run_classify(search, few_shot("label", shots=16))
    assert accuracy(results) >= plain + FIVE_POINTS
    assert accuracy(results) < 0.9  # the shots, four images in five, would all be right with their own votes
    assert run_classify(search, few_shot("label", shots=16)) == results  # the same shots every time


def test_the_file_of_a_shot_gets_no_vote_from_the_shot(search: ImageSearch) -> None:
    stored = {result.path: result for result in run_classify(search, few_shot())}
    paths = ["fruit/banana.png", "weather/fire.png", "tools/hammer.png", "birds/owl.png"]
    of_files = search.classify([EXAMPLES / path for path in paths], LABELS, boost=few_shot())
    for path, result in zip(paths, of_files, strict=True):
        assert (result.label, result.score) == (stored[path].label, pytest.approx(stored[path].score, abs=1e-3))


def test_the_linear_probe_and_mean_removal_classify_every_image(search: ImageSearch, plain: float) -> None:
    assert accuracy(run_classify(search, linear_probe("label", shots=4))) >= plain + FIVE_POINTS
    assert abs(accuracy(run_classify(search, remove_means())) - plain) < FIVE_POINTS


def test_with_shots_the_threshold_is_a_share(search: ImageSearch) -> None:
    results = run_classify(search, few_shot(), threshold=0.5)
    without = {result.path: result for result in run_classify(search, few_shot())}
    assert 0 < sum(result.label == "other" for result in results) < len(results)
    for result in results:
        is_known = without[result.path].score >= 0.5
        assert (result.label == without[result.path].label) if is_known else (result.label == "other")


@pytest.mark.parametrize(
    ("labels", "boost", "sentence"),
    [
        (["fruit", "birds"], few_shot("lable"), "did you mean label"),
        (["fruits", "bird"], few_shot("label"), "did you mean fruit"),
        (["fruit", "no such thing"], linear_probe("label"), "only the label 'fruit'"),
    ],
)
def test_missing_shots_raise_a_clear_error(search: ImageSearch, labels: list[str], boost: Boost, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        search.classify(None, labels, boost=boost)


def test_the_command_has_an_option_for_each_boost(run: Callable[..., Ran], examples: str, tmp_path: Path) -> None:
    for name, drawing in (("fruit", "fruit/banana"), ("birds", "birds/owl"), ("else", "tools/hammer")):
        (tmp_path / name).mkdir()
        shutil.copy(EXAMPLES / f"{drawing}.png", tmp_path / name)
    words = ("clip-classify", "--collection", examples, "--labels", "fruit,birds", "--limit", "5", "--json")
    chosen = run(*words, "--few-shot", "label", "--shots", "4", "--other-from", tmp_path)
    assert "balanced accuracy" in chosen.stderr
    assert {row["label"] for row in chosen.rows} <= {"fruit", "birds", "other"}
    refused = run(*words, "--few-shot", "label", "--remove-means", expect=2)
    assert "--few-shot does not work with --remove-means" in refused.stderr


def polysemous_images() -> Iterator[tuple[Path, str]]:
    """Images of words with two meanings, each with its word."""
    for file in sorted(POLYSEMY.rglob("*.png")):
        yield file, file.parent.name.split(" (")[0]


def read_labels(file: str) -> list[str]:
    return (POLYSEMY / file).read_text(encoding="utf-8").splitlines()


def share_right(search: ImageSearch, labels: list[str], truth: Callable[[Path, str], str]) -> float:
    results = search.classify([file for file, _ in polysemous_images()], labels, prompts="word")
    pairs = zip(results, polysemous_images(), strict=True)
    return sum(result.label == truth(*image) for result, image in pairs) / len(list(polysemous_images()))


def test_descriptions_of_both_meanings_are_better_than_a_bare_word(search: ImageSearch) -> None:
    described = read_labels("labels.txt")
    bare = share_right(search, [parse_label(line)[0] for line in described], lambda _, word: word)
    assert share_right(search, described, lambda _, word: word) >= bare + 0.1  # 19 points when this was written


def test_one_label_per_meaning_separates_the_meanings(search: ImageSearch) -> None:
    chance = 1 / 20
    assert share_right(search, read_labels("meanings.txt"), lambda file, _: file.parent.name) >= 4 * chance
