from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training import drawings
from tests.training.art import write_packages


def test_concepts_are_those_drawn_in_every_set_without_flags_and_skin_tones(tmp_path: Path) -> None:
    concepts = drawings.load_concepts(write_packages(tmp_path))
    assert len(concepts) == 12
    assert (concepts[0].name_en, concepts[0].name_zh) == ("red circle", "红色圆")


def test_a_variation_selector_does_not_make_another_concept() -> None:
    assert drawings.normalise_hexcode("2764-FE0F-200D-1F525") == drawings.normalise_hexcode("2764-200d-1f525")


def test_a_drawing_has_its_colour_and_a_transparent_ground(tmp_path: Path) -> None:
    packages = write_packages(tmp_path)
    red_circle = drawings.render_set(packages, "noto", drawings.load_concepts(packages)[:1], 32)[0]
    assert red_circle[16, 16].tolist() == [255, 0, 0, 255]
    assert red_circle[0, 0, 3] == 0


def test_inking_adds_a_dark_outline_and_keeps_the_colour(tmp_path: Path) -> None:
    packages = write_packages(tmp_path)
    concepts = drawings.load_concepts(packages)[:1]
    inked = drawings.render_set(packages, "noto", concepts, 64, "inked")[0]
    assert inked[32, 32].tolist() == [255, 0, 0, 255]
    opaque = inked[inked[..., 3] == 255]
    assert (opaque[:, :3].max(axis=1) < 40).sum() > 50  # dark pixels: the outline


def test_line_art_has_no_colour(tmp_path: Path) -> None:
    packages = write_packages(tmp_path)
    lines = drawings.render_set(packages, "noto", drawings.load_concepts(packages)[:1], 64, "lines")[0]
    spread = lines[..., :3].max(axis=-1).astype(int) - lines[..., :3].min(axis=-1)
    assert spread[lines[..., 3] > 0].max() <= 1


def test_a_drawing_wider_than_high_is_not_squeezed() -> None:
    body = '<rect width="64" height="32" fill="red"/>'
    svg = drawings.build_svg({"icons": {"wide": {"body": body, "width": 64, "height": 32}}}, "wide", "drawn")
    covered = drawings.rasterise(svg, 64)[..., 3] > 127
    assert covered.any(axis=0).sum() == pytest.approx(2 * covered.any(axis=1).sum(), abs=2)


def test_a_clip_path_is_never_inked() -> None:
    body = '<clipPath id="a"><path d="M0 0h9v9z"/></clipPath><path d="M0 0h9v9z"/>'
    assert drawings.remove_clip_strokes(body).count("stroke:none") == 1


def test_a_missing_package_manager_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TrainingDataError, match=r"npm is needed .* install Node\.js, or unpack"):
        drawings.fetch_package("some-package@1.0.0", tmp_path)


def test_nothing_is_fetched_when_the_packages_lie_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert drawings.fetch_packages(write_packages(tmp_path)) == tmp_path


def test_pixels_are_bytes(tmp_path: Path) -> None:
    packages = write_packages(tmp_path)
    art = drawings.render_set(packages, "twemoji", drawings.load_concepts(packages), 16)
    assert art.shape == (12, 16, 16, 4)
    assert art.dtype == np.uint8
