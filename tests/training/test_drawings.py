import os
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training import drawings
from tests.training.art import PARTIAL_SET, write_packages


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


@pytest.mark.parametrize(
    ("name", "coloured"), [("red heart", True), ("Large Blue diamond", True), ("redwood", False), ("gold medal", False)]
)
def test_some_names_have_a_colour(name: str, coloured: bool) -> None:
    assert drawings.Concept("1f000", name, name, (), ()).means_a_colour is coloured


def test_variants_of_a_drawing_differ_and_are_the_same_in_each_run() -> None:
    icons = {"icons": {"disc": {"body": '<circle cx="8" cy="8" r="6" fill="#ffcc00"/>', "width": 16, "height": 16}}}
    variants = [[drawings.build_svg(icons, "disc", style) for style in drawings.RESTYLED] for _ in range(2)]
    assert variants[0] == variants[1]
    assert len(set(variants[0])) == len(drawings.RESTYLED)
    kept = [drawings.build_svg(icons, "disc", style, colours_kept=True) for style in drawings.RESTYLED]
    assert all('fill="#ffcc00"' in svg for svg in kept)
    assert not all('fill="#ffcc00"' in svg for svg in variants[0])


def test_a_drawing_wider_than_high_is_not_squeezed() -> None:
    body = '<rect width="64" height="32" fill="red"/>'
    svg = drawings.build_svg({"icons": {"wide": {"body": body, "width": 64, "height": 32}}}, "wide", "drawn")
    covered = drawings.rasterise(svg, 64)[..., 3] > 127
    assert covered.any(axis=0).sum() == pytest.approx(2 * covered.any(axis=1).sum(), abs=2)


def test_a_set_without_code_points_is_matched_by_names(tmp_path: Path) -> None:
    packages = write_packages(tmp_path)
    concepts = drawings.load_concepts(packages)
    assert drawings.match_icons(packages, "emojione", concepts) == {
        index: concept.name_en.replace(" ", "-") for index, concept in enumerate(concepts)
    }
    assert drawings.match_icons(packages, PARTIAL_SET, concepts) == {
        **{0: "red-circle-1", 3: "green-circle-1"},
        **{6: "blue-circle-1", 9: "gold-circle-1"},
    }


@pytest.mark.parametrize(
    ("name", "icon"),
    [
        ("red circle", "red-circle"),
        ("Red: “circle”", "red-circle"),
        ("cook\N{RIGHT SINGLE QUOTATION MARK}s hat", "cooks-hat"),
        ("scarlet disc", "disc"),  # by a short code
        ("grinning", "grinning-face"),
        ("green", None),
    ],
)
def test_an_icon_is_found_by_name_short_code_or_as_a_face(name: str, icon: str | None) -> None:
    known = {each: each for each in ("red-circle", "cooks-hat", "disc", "grinning-face")}
    concept = drawings.Concept("1f000", name, name, (), ())
    assert drawings.find_icon(concept, ["disc"] if name == "scarlet disc" else [], known) == icon


def test_short_codes_of_all_sources_are_read(tmp_path: Path) -> None:
    codes = drawings.read_short_codes(write_packages(tmp_path))
    assert codes == {"1f001": ["scarlet_disc"], "1f002": ["scarlet_box", "red_block"]}


class PanicException(BaseException):
    """Named as that of pyo3, which cannot be imported."""


def panic_at_filters(svg: str, size: int) -> bytes:
    if "filter" in svg:
        os.write(2, b"thread '<unnamed>' panicked\n")
        raise PanicException
    return drawings.draw_png(svg, size)


def test_a_drawing_that_the_renderer_fails_at_goes_without_its_filters(capfd: pytest.CaptureFixture[str]) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path filter="url(#a)" d="M0 0h8v8z"/></svg>'
    assert drawings.rasterise(svg, 8, panic_at_filters)[0, 7].tolist() == [0, 0, 0, 255]
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"  # nothing of the panic


def test_another_error_of_the_renderer_is_raised() -> None:
    with pytest.raises(ValueError, match="unknown token"):
        drawings.rasterise("no drawing", 8)


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
