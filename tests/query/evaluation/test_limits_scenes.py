"""Scenes: what is where, by their pixels; and which images of a folder they are made of."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.limits_digits import draw_digit, load_digit_images
from clip_vectorizer.query.evaluation.limits_phrases import ABOVE_BELOW, LEFT_RIGHT
from clip_vectorizer.query.evaluation.limits_scenes import (
    CANVAS,
    LONGEST_SIDE,
    compose_copies,
    compose_pair,
    encode_scene,
    load_drawings,
)
from tests.query.evaluation.folders import silent
from tests.query.evaluation.squares import count_squares, find_colours, squares

RED, BLUE = (Image.new("RGB", (20, 20), colour) for colour in ("red", "blue"))


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_the_first_of_two_squares_is_left_of_the_second_and_as_large_and_as_high() -> None:
    masks = find_colours(encode_scene(compose_pair(RED, BLUE, LEFT_RIGHT)))
    red, blue = bounds(masks["red"]), bounds(masks["blue"])
    assert red[2] < CANVAS // 2 <= blue[0]
    assert (red[1], red[3]) == (blue[1], blue[3])
    assert masks["red"].sum() == masks["blue"].sum() == (CANVAS // 2 - 12) ** 2
    assert red[1] + red[3] == CANVAS - 1, "not in the middle"


def test_the_first_of_two_squares_is_above_the_second() -> None:
    masks = find_colours(encode_scene(compose_pair(RED, BLUE, ABOVE_BELOW)))
    red, blue = bounds(masks["red"]), bounds(masks["blue"])
    assert red[3] < CANVAS // 2 <= blue[1]
    assert (red[0], red[2]) == (blue[0], blue[2])


def test_the_other_order_is_the_mirror_image() -> None:
    forward, backward = (np.asarray(compose_pair(*pair, LEFT_RIGHT)) for pair in ((RED, BLUE), (BLUE, RED)))
    np.testing.assert_array_equal(forward, backward[:, ::-1])


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_copies_are_as_many_as_wanted_of_one_size_and_apart(number: int) -> None:
    for seed in range(20):
        [mask] = find_colours(encode_scene(compose_copies(RED, number, np.random.default_rng(seed)))).values()
        assert count_squares(mask) == number
        assert mask.sum() == number * (CANVAS // 3 - 12) ** 2


def test_a_wide_picture_keeps_its_shape() -> None:
    mask = find_colours(encode_scene(compose_copies(RED.resize((40, 10)), 1, np.random.default_rng(0))))["red"]
    left, top, right, bottom = bounds(mask)
    assert (right - left + 1) == 4 * (bottom - top + 1)


def test_a_folder_gives_the_same_drawings_in_the_same_order_and_the_first_of_them_with_a_limit(tmp_path: Path) -> None:
    squares(tmp_path)
    found = load_drawings(tmp_path, "en", 400, silent).drawings
    assert [each.name for each in found] == [each.name for each in load_drawings(tmp_path, "en", 400, silent).drawings]
    assert sorted(each.name for each in found) != [each.name for each in found]
    assert load_drawings(tmp_path, "en", 11, silent).drawings == found[:11]
    assert (len(found), {each.label for each in found}) == (12, {"cubes", "balls"})


def test_a_name_occurs_once_and_an_unreadable_file_is_named(tmp_path: Path) -> None:
    squares(tmp_path)
    for name, caption in (("again", "red cube"), ("broken", "silver cube"), ("nameless", "")):
        file = tmp_path / "cubes" / f"{name}.png"
        RED.save(file)
        file.with_suffix(".txt").write_text(caption)
    (tmp_path / "cubes" / "broken.png").write_bytes(b"nonsense")
    found = load_drawings(tmp_path, "en", 400, silent)
    assert sorted(each.name for each in found.drawings).count("red cube") == 1
    assert len(found.drawings) == 12
    [(path, reason)] = found.left_out
    assert path == "cubes/broken.png" and "not an image" in reason


def test_a_large_picture_is_kept_small_and_transparency_is_white(tmp_path: Path) -> None:
    squares(tmp_path)
    Image.new("RGBA", (1000, 500), (0, 0, 0, 0)).save(tmp_path / "cubes" / "red.png")
    [drawing] = [each for each in load_drawings(tmp_path, "en", 400, silent).drawings if each.name == "red cube"]
    assert drawing.picture.size == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert drawing.picture.getpixel((0, 0)) == (255, 255, 255)


def test_too_few_captions_in_the_language_raise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'zh': 0 readable images have a caption of their own, at least 10"):
        load_drawings(squares(tmp_path), "zh", 400, silent)


def test_a_digit_is_dark_ink_on_white_paper() -> None:
    digits = load_digit_images()
    assert digits.pixels_nd.shape == (1797, 64)
    pixels_d = np.zeros(64)
    pixels_d[0] = 1  # the upper left pixel
    with Image.open(io.BytesIO(draw_digit(pixels_d))) as picture:
        grey = np.asarray(picture.convert("L"))
    assert grey[13:16, 13:16].max() < 60
    assert grey[48:, 48:].min() == 255
