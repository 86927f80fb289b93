import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from ingest.choices import Fit, Keep
from ingest.items import UnusableFile
from ingest.preview import preview_image
from ingest.sources.base import SourceOptions
from ingest.sources.file_types import expand_frames
from ingest.sources.frames import MAX_KEPT_FRAMES, FrameReader
from tests.images.tiff_writer import TiffFile, write_pages
from tests.ingest.fakes import encoded
from tests.ingest.sources.support import entry, expanded, failures, items, picture

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]


def moving(kind: str, count: int = 3, side: int = 16) -> bytes:
    shown = [Image.new("RGB", (side, side), (*COLOURS[at % 3][:2], at % 250)) for at in range(count)]
    out = io.BytesIO()
    extra = {"lossless": True} if kind == "WEBP" else {}
    shown[0].save(out, kind, save_all=True, append_images=shown[1:], **extra)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"), [("x.gif", "GIF"), ("x.tif", "TIFF"), ("x.TIFF", "TIFF"), ("x.webp", "WEBP")]
)
def test_each_frame_is_an_item_by_option(name: str, kind: str) -> None:
    found = items(expanded(name, moving(kind), frames=True))
    assert [item.key for item in found] == [f"{name}#frame={number}" for number in (1, 2, 3)]
    assert len({item.stamp for item in found}) == 3 and {item.fit for item in found} == {Fit.CROP}
    seen = [picture(item.read()).getpixel((8, 8)) for item in found]
    assert [pixel[:2] for pixel in seen] == [colour[:2] for colour in COLOURS]


@pytest.mark.parametrize(("name", "kind"), [("x.gif", "GIF"), ("x.tif", "TIFF"), ("x.webp", "WEBP")])
def test_without_the_option_the_file_is_one_item_as_it_is(name: str, kind: str) -> None:
    [item] = items(expanded(name, moving(kind)))
    assert (item.key, item.read()) == (name, moving(kind))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_a_file_of_one_frame_is_one_item_as_it_is(kind: str) -> None:
    data = encoded(Image.new("RGB", (8, 8)), kind)
    [item] = items(expanded(f"x.{kind.lower()}", data, frames=True))
    assert (item.key, item.read()) == (f"x.{kind.lower()}", data)


def test_frames_read_in_any_order_by_many_threads_are_the_right_ones() -> None:
    found = items(expanded("x.gif", moving("GIF", 60), frames=True))
    order = [*range(0, 60, 2), *range(59, 0, -2)]
    with ThreadPoolExecutor(8) as threads:
        data = dict(zip(order, threads.map(lambda at: found[at].read(), order), strict=True))
    again = items(expanded("x.gif", moving("GIF", 60), frames=True))
    assert all(data[at] == again[at].read() for at in range(60))


def test_frames_in_order_are_drawn_from_one_opened_file() -> None:
    opened: list[io.BytesIO] = []

    def open_file() -> io.BytesIO:
        opened.append(io.BytesIO(moving("GIF", 40)))
        return opened[-1]

    reader = FrameReader(entry("x.gif", open_file), 40)
    order = [number + shift for number in range(1, 40, 4) for shift in (2, 0, 3, 1)]  # the order of threads
    assert len({reader.read(number) for number in order}) == 40
    assert len(opened) == 1 and opened[0].closed


def test_few_of_the_frames_on_the_way_are_kept() -> None:
    reader = FrameReader(entry("x.gif", moving("GIF", 3 * MAX_KEPT_FRAMES)), 3 * MAX_KEPT_FRAMES)
    reader.read(3 * MAX_KEPT_FRAMES - 1)
    assert len(reader._kept) <= MAX_KEPT_FRAMES


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_more_frames_than_the_limit_are_a_failure_and_the_first_are_ingested(kind: str) -> None:
    found = list(expand_frames(entry("x.gif", moving(kind)), SourceOptions(), most=2))
    assert len(items(expand_frames(entry("x.gif", moving(kind)), SourceOptions(), most=3))) == 3
    assert [item.key for item in items(found)] == ["x.gif#frame=1", "x.gif#frame=2"]
    assert "more than 2 frames; only the first 2" in failures(found)["x.gif"]


def test_a_file_that_is_no_image_is_a_failure_with_its_reason() -> None:
    [item] = items(expanded("x.gif", b"text", frames=True))
    with pytest.raises(UnusableFile, match="a text file, not an image"):
        preview_image(item.read(), Fit.CROP, Keep.THUMBNAIL, False)


def test_a_frame_that_is_cut_off_fails_and_the_one_before_does_not() -> None:
    noise = [Image.effect_noise((64, 64), 90) for _ in range(2)]
    out = io.BytesIO()
    noise[0].save(out, "TIFF", save_all=True, append_images=noise[1:])
    data = bytearray(out.getvalue())
    with Image.open(io.BytesIO(out.getvalue())) as image:
        image.seek(1)
        offset = image.tag_v2[273][0]
    cut = bytes(data).replace(offset.to_bytes(4, "little"), (2**31 - 1).to_bytes(4, "little"))
    first, second = items(expanded("x.tif", cut, frames=True))
    assert decode_image(first.read()).size == (64, 64)
    with pytest.raises(ImageRefused, match="0% of it can be decoded"):
        decode_image(second.read())


def test_a_broken_page_of_a_tiff_file_fails_and_the_others_do_not() -> None:
    pages = [TiffFile(samples=np.full((9, 9, 1), grey), bits=8) for grey in (50, 100)]
    broken = replace(pages[0], without=(256, 257))
    found = items(expanded("x.tif", write_pages([pages[0], broken, pages[1]]), frames=True))
    assert [item.key for item in found] == ["x.tif#frame=1", "x.tif#frame=2", "x.tif#frame=3"]
    assert [decode_image(found[at].read()).pixels.getpixel((4, 4)) for at in (0, 2)] == [(50,) * 3, (100,) * 3]
    with pytest.raises(ImageRefused, match="without dimensions"):
        decode_image(found[1].read())


def test_a_page_outside_of_the_file_fails_and_those_before_do_not() -> None:
    page = TiffFile(samples=np.full((9, 9, 1), 50), bits=8)
    data = bytearray(write_pages([page, page]))
    data[-4 - 2 * 12 :] = b""  # in the middle of the second directory
    first, second = items(expanded("x.tif", bytes(data), frames=True))
    assert decode_image(first.read()).size == (9, 9)
    with pytest.raises((ImageRefused, UnusableFile)):
        decode_image(second.read())


def test_a_page_has_the_pixels_of_the_whole_file_opened_there() -> None:
    page = TiffFile(samples=np.arange(9 * 9 * 3).reshape(9, 9, 3), bits=16, photometric=2, planar=True, order=">")
    page = replace(page, more={274: (3, (6,))})
    found = items(expanded("x.tif", write_pages([replace(page, samples=page.samples * 200), page]), frames=True))
    assert decode_image(found[1].read()).pixels.tobytes() == decode_image(page.write()).pixels.tobytes()


def test_a_frame_of_too_many_pixels_is_refused() -> None:
    reader = FrameReader(entry("x.gif", moving("GIF")), 3, most_pixels=100)
    assert "a frame of 16 x 16; the limit is 0.0001 megapixels" in reason_of(reader, 2)


def test_threads_do_not_wait_for_ever_after_a_failure() -> None:
    reader = FrameReader(entry("x.gif", moving("GIF")), 3)
    assert "broken" in reason_of(reader, 99)
    done = threading.Thread(target=reader.read, args=(1,))
    done.start()
    done.join(10)
    assert not done.is_alive()


def reason_of(reader: FrameReader, number: int) -> str:
    try:
        reader.read(number)
    except Exception as error:
        return str(error)
    return ""
