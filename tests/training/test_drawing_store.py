import logging
from pathlib import Path

import pytest
import torch

from clip_vectorizer.training.drawing_store import load_art_set
from clip_vectorizer.training.drawings import RESTYLED, load_concepts, render_set
from tests.training.art import PARTIAL_SET, write_packages


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packages(tmp_path_factory.mktemp("packages"))


def test_drawings_are_those_of_the_art_set(packages: Path, tmp_path: Path) -> None:
    concepts = load_concepts(packages)
    art = load_art_set(tmp_path, packages, concepts, "noto", ("drawn", "lines"), 16)
    assert art.owners_m.tolist() == list(range(12))
    assert {style: tuple(pixels.shape) for style, pixels in art.styles.items()} == {
        "drawn": (12, 4, 16, 16),
        "lines": (12, 4, 16, 16),
    }
    expected = torch.from_numpy(render_set(packages, "noto", concepts, 16)).permute(0, 3, 1, 2)
    assert art.styles["drawn"].equal(expected)


def test_a_partial_set_lists_the_concepts_that_it_draws(packages: Path, tmp_path: Path) -> None:
    art = load_art_set(tmp_path, packages, load_concepts(packages), PARTIAL_SET, ("drawn",), 16)
    assert art.owners_m.tolist() == [0, 3, 6, 9]  # the circles
    assert art.styles["drawn"][0, :, 8, 8].tolist() == [255, 0, 0, 255]


def test_a_set_is_rendered_once(packages: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        load_art_set(tmp_path, packages, load_concepts(packages), "twemoji", ("drawn",), 16)
    assert caplog.messages == ["rendering twemoji: 12 drawings, drawn"]


def test_a_further_style_is_rendered_beside_those_in_the_folder(
    packages: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    concepts = load_concepts(packages)
    load_art_set(tmp_path, packages, concepts, "noto", ("drawn",), 16)
    caplog.set_level(logging.INFO)
    caplog.clear()
    art = load_art_set(tmp_path, packages, concepts, "noto", ("drawn", RESTYLED[0]), 16)
    assert caplog.messages == [f"rendering noto: 12 drawings, {RESTYLED[0]}"]
    assert art.styles.keys() == {"drawn", RESTYLED[0]}
    assert not art.styles["drawn"].equal(art.styles[RESTYLED[0]])


def test_a_restyled_drawing_keeps_the_colour_that_it_is_named_by(tmp_path: Path) -> None:
    packages = write_packages(tmp_path / "packages")
    file = packages / "noto" / "icons.json"
    drawn = file.read_text().replace(r"\"red\"", r"\"#ff0000\"").replace(r"\"gold\"", r"\"#ffd700\"")
    file.write_text(drawn)
    art = load_art_set(tmp_path, packages, load_concepts(packages), "noto", RESTYLED, 16)
    middles = {style: pixels[:, :, 8, 8].tolist() for style, pixels in art.styles.items()}
    red, gold = 0, 9  # circles
    assert {tuple(rows[red]) for rows in middles.values()} == {(255, 0, 0, 255)}
    assert len({tuple(rows[gold]) for rows in middles.values()}) > 1


def test_an_interrupted_rendering_leaves_no_file_that_counts(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "drawings-noto-drawn-16.draft.npy").write_bytes(b"half of")
    art = load_art_set(tmp_path, packages, load_concepts(packages), "noto", ("drawn",), 16)
    assert len(art.styles["drawn"]) == 12
    assert [file.name for file in tmp_path.iterdir()] == ["drawings-noto-drawn-16.npy"]
