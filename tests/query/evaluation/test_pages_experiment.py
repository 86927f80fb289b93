"""The pages experiment on a miniature corpus: red pages are drawings for a sidecar that sees one colour."""

import io
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.query.cli import evaluate_pages
from clip_vectorizer.query.cli.evaluate import main
from clip_vectorizer.query.evaluation.pages import KIND, ORGANISATION, PagesRow, measure_pages, rerank
from clip_vectorizer.query.evaluation.pages_corpus import PageRecord, pick_files, read_corpus, read_tests
from clip_vectorizer.query.evaluation.pages_measures import average_precision, rank_pages, weigh_files
from clip_vectorizer.query.evaluation.pages_vectors import encode_pages
from clip_vectorizer.query.evaluation.pages_views import PADDED, draw_corpus
from clip_vectorizer.vectors import Vectors, unit
from tests.documents import page
from tests.query.evaluation.folders import silent
from tests.query.fakes import INFO

pytest.importorskip("sklearn")
COMMANDS = page("docs/drawings.md").section("The experiment").commands("clip-eval")
OF_ORGANISATION = {"acme": (200, 0, 0), "bolt": (200, 0, 120)}
OTHER = (0, 0, 200)


@dataclass
class ColourSidecar:
    """Sees the mean colour of a square. `blind`: sees noise."""

    blind: bool = False
    embedded: list[int] = field(default_factory=list)
    info: object = INFO

    def meta(self) -> object:
        return changed(INFO, model="blind" if self.blind else "colours")

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        return np.stack([self._look(image) for image in images])

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        self.embedded.append(len(images))
        return list(self.embed_images(images))

    def _look(self, image: bytes) -> Vectors:
        if self.blind:
            return unit(np.random.default_rng(sum(image)).normal(size=8).astype(np.float32))
        with Image.open(io.BytesIO(image)) as opened:
            return unit(1.0 + np.asarray(opened.resize((1, 1)), dtype=np.float32)[0, 0])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 files of 4 pages: two red ones with a block, two blue ones; half of the files to learn from."""
    root = tmp_path_factory.mktemp("pages") / "corpus"
    lines = []
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        for number in range(12):
            name = ("acme", "bolt")[number % 2]
            colours = [OF_ORGANISATION[name]] * 2 + [OTHER] * 2
            pages = [Image.new("RGB", (60, 40 + number), colour) for colour in colours]
            pages[0].save(root / split / f"{number}.pdf", save_all=True, append_images=pages[1:])
            for place, colour in enumerate(colours, 1):
                drawing = colour != OTHER
                lines.append(
                    {
                        **{"path": f"{split}/{number}.pdf", "page": place, "kind": "drawing" if drawing else "text"},
                        **{"organisation": name if drawing else None, "family": f"part {number % 3}"},
                        **{"split": split, "column": "same generator"},
                    }
                )
    (root / "pages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pages, which the first test that needs them makes, and vectors by model."""
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="module")
def home(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines of the page run, one after the other: the second finds what the first has kept."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("corpus", "freecad", "real"):
        (folder / name).symlink_to(corpus)
    return folder


def measure(corpus: Path, folder: Path, sidecar: ColourSidecar) -> list[PagesRow]:
    pages, left_out = draw_corpus(corpus, read_corpus(corpus), folder, silent)
    encoded, refused = encode_pages("fake", pages, folder, sidecar, silent)  # type: ignore[arg-type]
    assert not left_out and not refused
    return measure_pages(pages, [encoded], silent)


def find_value(rows: Sequence[PagesRow], task: str, encoder: str, looking: str, measure: str) -> float:
    [row] = [row for row in rows if (row.task, row.encoder, row.looking) == (task, encoder, looking)]
    figure = row.figures[measure]
    assert figure is not None and figure.low <= figure.value <= figure.high
    return figure.value


def test_planted_vectors_are_right_everywhere_and_kept(corpus: Path, views: Path) -> None:
    sidecar = ColourSidecar()
    rows = measure(corpus, views, sidecar)
    assert find_value(rows, KIND, "fake", PADDED, "AP, probe") == 1.0
    assert find_value(rows, KIND, "fake", PADDED, "AP, kNN 20") == 1.0
    assert find_value(rows, KIND, "fake", PADDED, "balanced accuracy") == 1.0
    assert find_value(rows, KIND, "fake", PADDED, "AP, own pages") == 1.0
    assert find_value(rows, ORGANISATION, "fake", PADDED, "mAP") == 1.0
    assert find_value(rows, ORGANISATION, "random order", "-", "mAP") < 0.5
    first = rows[0]
    assert (first.count, first.files, first.figures["AP, kNN 200"]) == (48, 12, None)
    sidecar.embedded.clear()
    assert measure(corpus, views, sidecar) == rows
    assert sidecar.embedded == []


def test_vectors_of_chance_are_chance(corpus: Path, views: Path) -> None:
    rows = measure(corpus, views, ColourSidecar(blind=True))
    assert find_value(rows, KIND, "fake", PADDED, "AP, probe") < 0.85
    assert find_value(rows, KIND, "fake", PADDED, "AP, own pages") < 0.85
    assert find_value(rows, ORGANISATION, "fake", PADDED, "R@1") < 0.7


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_page_run(line: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_pages, "connect_sidecar", connect_colours)
    monkeypatch.chdir(home)
    result = CliRunner().invoke(main, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert "Drawing against the rest, same generator: " in result.stdout
    models = [word for word in shlex.split(line) if word == "emoji" or word.startswith(("local-dir:", "ViT"))]
    assert all(f"| {model} | padded page | " in result.stdout for model in models)


def test_a_page_that_cannot_be_read_is_named_and_spoils_no_other(corpus: Path, tmp_path: Path) -> None:
    records = read_corpus(corpus)
    bad = [changed(records[0], path="train/none.pdf"), changed(records[1], page=9)]
    pages, left_out = draw_corpus(corpus, [*bad, records[2]], tmp_path, silent)
    assert [each.record for each in pages] == [records[2]]
    assert [name for name, _ in left_out] == ["train/none.pdf#page=1", "train/0.pdf#page=9"]
    assert "cannot be read" in left_out[0][1] and "the file has 4" in left_out[1][1]


def test_a_corpus_that_is_none_is_refused_with_a_sentence(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"make_corpus\.py"):
        read_corpus(tmp_path)
    file = tmp_path / "pages.jsonl"
    for text, sentence in (("{}", "line 1 is no page"), ("", "0 drawings and 0 other pages of the split train")):
        file.write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_corpus(tmp_path)
    file.write_text((corpus / "pages.jsonl").read_text().replace("train/0.pdf", "../0.pdf", 1))
    with pytest.raises(InputError, match="not below the corpus"):
        read_corpus(tmp_path)


def test_a_limit_takes_the_same_pages_each_time(corpus: Path) -> None:
    limited = read_corpus(corpus, 20)
    assert limited == read_corpus(corpus, 20)
    assert [sum(each.split == split for each in limited) for split in ("train", "test")] == [20, 20]


def test_average_precision_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(1)
    truth, scores = random.random(60) < 0.4, np.round(random.random(60), 1)
    weights = weigh_files([str(number // 4) for number in range(60)], 5)
    expected = [average_precision_score(truth, scores, sample_weight=row) for row in weights]
    assert average_precision(weights, truth, scores) == pytest.approx(np.array(expected))


def test_a_query_without_a_relevant_page_has_no_figure_and_ties_gain_nothing() -> None:
    relevant, candidates = np.array([[True, False, False], [False] * 3]), np.ones((2, 3), dtype=np.bool_)
    ranking = rank_pages(np.zeros((2, 3)), relevant, candidates)
    assert ranking.ap_q[0] == pytest.approx(1 / 3) and ranking.first_q[0] == 0
    assert np.isnan(ranking.ap_q[1])


def test_rules_order_the_nearest_corners() -> None:
    cosines, lines = np.array([[0.9, 0.8, 0.7]]), np.array([[0.1, 0.9, 1.0]])
    candidates = np.array([[True, True, False]])
    order = np.argsort(-np.where(candidates, rerank(cosines, lines, candidates), -np.inf))[0]
    assert order.tolist()[:2] == [1, 0]


def test_a_limit_takes_whole_files_or_none(corpus: Path) -> None:
    kept = read_corpus(corpus, 30)
    counts = Counter(each.path for each in kept)
    assert set(counts.values()) == {4} and sum(each.split == "test" for each in kept) == 28
    long = [PageRecord("a.pdf", page, "text", None, None, "test", "one") for page in range(1, 9)]
    short = PageRecord("b.pdf", 1, "text", None, None, "test", "one")
    assert pick_files([*long, short], 4) == [short]
    with pytest.raises(InputError, match="--limit 4 is less than the pages of each file of test, one"):
        pick_files(long, 4)


def test_other_folders_are_columns_of_what_was_learned_from_the_first(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the second folder only the test pages count, and kinds other than drawing may be unknown."""
    more = tmp_path / "more"
    more.mkdir()
    for split in ("train", "test"):
        (more / split).symlink_to(corpus / split)
    lines = [json.loads(line) for line in (corpus / "pages.jsonl").read_text().splitlines()]
    for line in lines:
        line["column"] = "real"
        line["kind"], line["family"] = ("drawing" if line["kind"] == "drawing" else None), None
    (more / "pages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert {each.split for each in read_tests(more)} == {"test"}
    monkeypatch.setattr(evaluate_pages, "connect_sidecar", connect_colours)
    result = CliRunner().invoke(main, ["--pages", str(corpus), "--pages", str(more), "emoji", "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["column"] for row in rows} == {"same generator", "real"}
    assert "real" not in {row["column"] for row in rows if row["task"] == "same part family"}
    [probe] = [
        row
        for row in rows
        if (row["column"], row["measure"], row["encoder"], row["looks_at"]) == ("real", "AP, probe", "emoji", PADDED)
    ]
    assert probe["value"] == 1.0 and probe["count"] == 48


def test_a_folder_without_drawings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pages.jsonl").write_text("")
    with pytest.raises(InputError, match="needs drawings and other pages of the split test"):
        read_tests(tmp_path)


@contextmanager
def connect_colours(model: str, *_: object) -> Iterator[ColourSidecar]:
    yield ColourSidecar(blind=model != "emoji")
