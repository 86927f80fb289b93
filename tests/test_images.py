import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from clip_vectorizer.images.pillow import PILLOW_FORMATS, WarningFilter, ignore_pillow_warnings, open_image
from clip_vectorizer.images.upright import BAND_PIXELS, small_rgb, upright_rgb


def file_of(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file


@pytest.mark.parametrize("kind", PILLOW_FORMATS)
def test_every_format_opens_as_pillow_opens_it(kind: str) -> None:
    file = file_of(Image.new("RGB", (30, 20), "red"), kind)
    with open_image(file) as image:
        assert (image.format, image.size) == (kind, (30, 20))


@pytest.mark.parametrize("data", [b"", b"some words", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_not_identified(data: bytes) -> None:
    with pytest.raises(UnidentifiedImageError), open_image(io.BytesIO(data)):
        pass


def test_pillows_limit_of_pixels_does_not_apply_and_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(Image.new("L", (100, 100)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with open_image(file) as image:
        assert image.size == (100, 100)
        image.load()
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(Image.DecompressionBombError), Image.open(file):
        pass


def broken_exif() -> io.BytesIO:
    """A JPEG of good pixels whose EXIF block makes Pillow warn."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\0\0\x90\0\0\0"
    return file_of(Image.new("RGB", (8, 8)), "JPEG", exif=exif)


def test_a_broken_exif_block_warns_no_one_in_any_thread() -> None:
    data = broken_exif().getvalue()
    with pytest.warns(UserWarning), Image.open(io.BytesIO(data)) as image:
        image.getexif()
    before = list(warnings.filters)

    def decode(_number: int) -> tuple[int, int]:
        with open_image(io.BytesIO(data)) as image:
            image.getexif()
            return upright_rgb(image).size

    with ThreadPoolExecutor(8) as threads:  # warnings are errors in these tests
        assert set(threads.map(decode, range(200))) == {(8, 8)}
    assert warnings.filters == before


def test_filters_overlap_in_threads_and_leave_those_of_the_program() -> None:
    ignore = WarningFilter(r"PIL\.", UserWarning)
    before, inside, leave = list(warnings.filters), threading.Event(), threading.Event()

    def overlap() -> None:
        with ignore:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=overlap)
    with ignore:
        thread.start()
        inside.wait(10)
    assert len(warnings.filters) == len(before) + 1  # the other thread is still inside
    warnings.simplefilter("ignore", UnicodeWarning)  # the program's own, meanwhile
    leave.set()
    thread.join()
    assert list(warnings.filters)[1:] == before
    warnings.filters[:] = before  # type: ignore[index]


def test_a_filter_holds_when_the_program_exchanges_its_filters() -> None:
    before = list(warnings.filters)
    with ignore_pillow_warnings(), warnings.catch_warnings():
        warnings.simplefilter("error")
        with ignore_pillow_warnings(), Image.open(broken_exif()) as image:
            image.getexif()
    assert warnings.filters == before


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_a_float_picture_keeps_its_greys_in_each_usual_range(white: float) -> None:
    ramp = Image.fromarray(np.array([[0.0, white / 2, white]], dtype=np.float32))
    greys = np.asarray(upright_rgb(ramp))[0, :, 0]
    np.testing.assert_allclose(greys, [0, 128, 255], atol=1)


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    np.testing.assert_allclose(np.asarray(upright_rgb(ramp))[0, :, 0], [0, 128, 255], atol=1)


def test_a_float_picture_with_holes_keeps_its_greys() -> None:
    ramp = Image.fromarray(np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -np.inf]], dtype=np.float32))
    np.testing.assert_allclose(np.asarray(upright_rgb(ramp))[0, :, 0], [0, 128, 255, 0, 255, 0], atol=1)


def test_a_float_picture_without_any_value_is_black() -> None:
    assert (np.asarray(upright_rgb(Image.fromarray(np.full((4, 4), np.nan, np.float32)))) == 0).all()


def large(mode: str) -> Image.Image:
    """Of several bands, a ramp from black to white in each direction, a fifth transparent where `mode` can."""
    wide, high = 1501, 1203
    assert wide * high > BAND_PIXELS
    ramp = Image.fromarray(np.add.outer(np.arange(high) % 128, np.arange(wide) % 127).astype(np.uint8))
    if mode == "RGBA":
        return Image.merge(mode, [ramp, ramp, ramp, ramp.point(lambda level: 0 if level < 50 else 255)])
    if mode in ("F", "I;16"):
        kind, factor = (np.float32, 257.0) if mode == "F" else (np.uint16, 257)
        return Image.fromarray(np.asarray(ramp).astype(kind) * kind(factor))
    return ramp.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "F", "I;16", "CMYK"])
def test_a_large_picture_in_bands_is_the_picture_at_once(mode: str) -> None:
    image = large(mode)
    corner = upright_rgb(image.crop((1200, 1000, 1501, 1203)))
    np.testing.assert_array_equal(np.asarray(upright_rgb(image))[1000:, 1200:], np.asarray(corner))
    small, box = small_rgb(image, 300)
    assert box == (0, 0, 1501 / 4, 1203 / 4)
    np.testing.assert_array_equal(np.asarray(small)[250:, 300:], np.asarray(corner.reduce(4)))


def test_a_picture_is_never_shrunk_below_the_side_asked_for() -> None:
    assert small_rgb(large("RGB"), 602)[0].size == (1501, 1203)
    assert small_rgb(large("RGB"), 601)[0].size == (751, 602)
