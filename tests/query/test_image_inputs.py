import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.image_inputs import embed_image, embed_images, encode_png, read_limited
from tests.query.fakes import FakeSidecar, picture, vector_of

ORIENTATION, TURNED = 0x0112, 6  # EXIF: the top row is the right side


def test_a_path_a_text_bytes_and_an_image_are_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(picture("red"))
    for given in (path, str(path), path.read_bytes(), Image.new("RGB", (5, 5), "red")):
        np.testing.assert_allclose(embed_image(given, FakeSidecar()), vector_of("red"), atol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "F"])
def test_every_mode_of_pillow_can_be_sent(mode: str) -> None:
    with Image.open(io.BytesIO(encode_png(Image.new(mode, (3, 2))))) as sent:
        assert sent.size == (3, 2)


def test_an_image_is_turned_as_its_exif_asks() -> None:
    image = Image.new("RGB", (4, 2))
    image.getexif()[ORIENTATION] = TURNED
    with Image.open(io.BytesIO(encode_png(image))) as sent:
        assert sent.size == (2, 4)
    assert image.size == (4, 2)


def test_unreadable_files_are_reported_in_place_and_by_name(tmp_path: Path) -> None:
    good, empty, text = tmp_path / "good.png", tmp_path / "empty.png", tmp_path / "text.png"
    good.write_bytes(picture("blue"))
    empty.touch()
    text.write_text("no image")
    given = [good, tmp_path / "none.png", empty, tmp_path, text, good]
    [batch] = embed_images(given, FakeSidecar())
    assert [each.path for each in batch] == [str(path) for path in given]
    assert [each.error for each in batch] == [
        "",
        "No such file or directory",
        "the file is empty (0 bytes)",
        "Is a directory",
        "not an image",
        "",
    ]


def test_pictures_go_out_in_batches_as_they_are_read() -> None:
    sidecar = FakeSidecar()
    batches = embed_images((picture("red") for _ in range(70)), sidecar)
    assert len(next(batches)) == 32 and sidecar.batches == [32]
    assert [len(batch) for batch in batches] == [32, 6]


def test_pictures_without_a_path_are_numbered_through_all_batches() -> None:
    names = [each.path for batch in embed_images([picture("red")] * 40, FakeSidecar()) for each in batch]
    assert names == [f"images[{index}]" for index in range(40)]


def test_one_picture_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: No such file"):
        embed_image(tmp_path / "none.png", FakeSidecar())


def test_a_file_without_end_does_not_fill_the_memory() -> None:
    with pytest.raises(InputError, match="larger than 5 bytes"):
        read_limited(io.BytesIO(b"123456"), 5)
    assert read_limited(io.BytesIO(b"12345"), 5) == b"12345"


def test_a_name_that_no_file_can_have_is_an_input_error() -> None:
    with pytest.raises(InputError, match="null byte"):
        embed_image("a\0b", FakeSidecar())


def test_a_long_name_is_shortened_where_it_is_told() -> None:
    with pytest.raises(InputError) as refused:
        embed_image("a/" * 2_000, FakeSidecar())
    assert len(str(refused.value)) < 300
