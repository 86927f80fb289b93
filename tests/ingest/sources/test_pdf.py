import io
import pickle
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_passwords import PdfPassword
from ingest.choices import Fit
from ingest.items import UnusableFile
from ingest.page_pixels import PagePixels
from ingest.sources import pdf as pdf_module
from ingest.sources.base import SourceOptions
from ingest.sources.pdf import MAX_OPEN_DOCUMENTS, compute_scale
from ingest.sources.reading import MAX_PIXELS, open_regular
from tests.ingest.sources.pdf_files import filled, pdf
from tests.ingest.sources.pdf_files import written as pdf_of
from tests.ingest.sources.support import expanded, failures, items, picture, reason, written

RED, BLUE, WHITE = (254, 0, 0), (0, 0, 254), (255, 255, 255)


def near(colour: object, expected: tuple[int, int, int]) -> bool:
    return isinstance(colour, tuple) and all(abs(one - other) < 12 for one, other in zip(colour, expected, strict=True))


def test_each_page_is_an_item_with_its_number_from_one() -> None:
    found = items(expanded("plans/site.pdf", pdf(b"", b"", b"")))
    assert [item.key for item in found] == [f"plans/site.pdf#page={number}" for number in (1, 2, 3)]
    assert [item.facts(b"").metadata for item in found] == [{"page": number} for number in (1, 2, 3)]
    assert {item.fit for item in found} == {Fit.PAD}


def test_fit_of_the_options_comes_before_that_of_pages() -> None:
    assert {item.fit for item in items(expanded("x.pdf", pdf(b""), fit=Fit.CROP))} == {Fit.CROP}


def test_a_page_is_drawn_on_white_at_the_requested_dots_per_inch() -> None:
    [item] = items(expanded("x.pdf", pdf(filled("1 0 0", 0, 0, 20, 20)), dpi=144))
    image = picture(item.read())
    assert (image.mode, image.size) == ("RGB", (400, 200))
    assert near(image.getpixel((10, 190)), RED) and image.getpixel((390, 10)) == WHITE


def test_the_title_block_at_the_lower_right_of_a_wide_drawing_is_in_the_picture() -> None:
    drawing = pdf(filled("0 0 1", 1100, 0, 91, 60), media="0 0 1191 421")
    [item] = items(expanded("x.pdf", drawing, dpi=72))
    image = picture(item.read())
    assert item.fit is Fit.PAD and near(image.getpixel((image.width - 5, image.height - 5)), BLUE)


def test_a_turned_page_stands_upright() -> None:
    [item] = items(expanded("x.pdf", pdf(filled("1 0 0", 0, 0, 20, 20), page="/Rotate 90"), dpi=72))
    image = picture(item.read())
    assert image.size == (100, 200) and near(image.getpixel((5, 5)), RED)


def test_annotations_and_filled_forms_are_drawn() -> None:
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 20 20]/Length 22>>stream\n1 0 0 rg 0 0 20 20 re f\nendstream"
    stamp = b"<</Type/Annot/Subtype/Stamp/F 4/Rect[0 0 20 20]/AP<</N 5 0 R>>>>"
    field = b"<</Type/Annot/Subtype/Widget/FT/Btn/Ff 65536/T(b)/F 4/Rect[100 0 120 20]/AP<</N 5 0 R>>>>"
    data = pdf(b"", page="/Annots[6 0 R 7 0 R]", extra=(form, stamp, field))
    data = data.replace(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[7 0 R]>>>>")
    [item] = items(expanded("x.pdf", rebuilt(data), dpi=72))
    image = picture(item.read())
    assert near(image.getpixel((5, 95)), RED) and near(image.getpixel((105, 95)), RED)


def rebuilt(data: bytes) -> bytes:
    """With its table of places made anew."""
    bodies = [part.partition(b" obj")[2] for part in data.partition(b"xref\n")[0].split(b"\nendobj\n")[:-1]]
    return pdf_of(bodies)


def test_a_page_is_drawn_to_the_same_bytes_every_time() -> None:
    data = pdf(b"0.5 w 0 0 m 200 100 l S")
    first, again = (items(expanded("x.pdf", data))[0].read() for _ in range(2))
    assert isinstance(first, PagePixels) and isinstance(again, PagePixels)
    assert first.digest() == again.digest() and first.encode() == again.encode()


def test_a_huge_page_is_drawn_smaller_and_not_refused() -> None:
    a0 = (3370.0, 2384.0)
    assert compute_scale(a0, 150) == 150 / 72
    assert MAX_PIXELS * 0.99 < 3370 * 2384 * compute_scale(a0, 1200) ** 2 < MAX_PIXELS
    assert 14_400 * compute_scale((14_400.0, 1.0), 9600) < 65_500


@pytest.mark.parametrize(
    ("media", "extra", "size", "red"),
    [
        ("-100 -50 100 50", "", (200, 100), (5, 95)),
        ("100 50 -100 -50", "", (200, 100), (5, 95)),  # two corners of a box, in any order
        ("-100 -50 100 50", "/Rotate 90", (100, 200), (5, 5)),
        ("-100 -50 500 450", "/CropBox[-100 -50 100 50]", (200, 100), (5, 95)),
        ("-100 -50 100 50", "/CropBox[-900 -900 900 900]", (200, 100), (5, 95)),  # no more than the MediaBox
        ("-100 -50 100 50", "/CropBox[300 300 400 400]", (200, 100), (5, 95)),  # outside of it: of no use
        ("-100 -50 100 50", "/CropBox[300 300 400 400]/Rotate 90", (100, 200), (5, 5)),
        ("-100 -50 100 50", "/UserUnit 2", (200, 100), (5, 95)),
    ],
)
def test_a_page_is_its_crop_box_wherever_its_origin_is(
    media: str, extra: str, size: tuple[int, int], red: tuple[int, int]
) -> None:
    [item] = items(expanded("x.pdf", pdf(filled("1 0 0", -100, -50, 20, 20), media=media, page=extra), dpi=72))
    image = picture(item.read())
    assert image.size == size and near(image.getpixel(red), RED)


def test_an_a0_drawing_at_200_dots_per_inch_has_all_its_pixels_and_its_title_block() -> None:
    [item] = items(expanded("x.pdf", pdf(filled("0 0 1", 3300, 0, 70, 60), media="0 0 3370 2384"), dpi=200))
    image = picture(item.read())
    assert image.size == (9362, 6623) and near(image.getpixel((9350, 6610)), BLUE)


def test_boxes_that_are_none_spoil_no_other_page() -> None:
    data = pdf(b"", filled("1 0 0", 0, 0, 200, 100), b"", b"")
    for number, box in ((3, b"0 0 0 0"), (7, b"0 0 1e38 1e38"), (9, b"0 0 200 0.001")):
        head = b"%d 0 obj<</Type/Page/Parent 2 0 R/MediaBox[" % number
        data = data.replace(head + b"0 0 200 100", head + box)
    pages = items(expanded("x.pdf", rebuilt(data), dpi=72))
    assert len(pages) == 4 and near(picture(pages[1].read()).getpixel((9, 9)), RED)
    for page in (pages[0], pages[2], pages[3]):
        try:
            assert min(picture(page.read()).size) > 0
        except UnusableFile as problem:
            assert "cannot be drawn" in str(problem)


def test_of_a_file_cut_off_at_three_fifths_pages_are_drawn_or_named() -> None:
    whole = pdf(*[filled("1 0 0", 0, 0, 200, 100) + b" 0 0 m %d 9 l S" % page for page in range(10)])
    pages = items(expanded("x.pdf", whole[: int(len(whole) * 0.6)]))
    drawn, reasons = 0, []
    for each in pages:
        try:
            assert near(picture(each.read()).getpixel((9, 9)), RED)
            drawn += 1
        except UnusableFile as problem:
            reasons.append(str(problem))
    assert len(pages) == 10 and drawn >= 5 and all("lost" in why or "cannot be drawn" in why for why in reasons)


def test_three_thousand_pages_are_drawn_in_flat_memory(tmp_path: Path) -> None:
    content = filled("1 0 0", 0, 0, 20, 20) + b" %" + b"x" * 6000  # 18 MB in all
    file = written(tmp_path / "x.pdf", pdf(*[content] * 3000))
    program = (
        "import resource, sys\n"
        "from functools import partial\n"
        "from ingest.items import Facts\n"
        "from ingest.sources.base import FileEntry, SourceOptions\n"
        "from ingest.sources.file_types import expand_entry\n"
        "from ingest.sources.reading import open_regular\n"
        "entry = FileEntry('x.pdf', '/', '', partial(open_regular, sys.argv[1]), Facts)\n"
        "peaks = []\n"
        "for number, item in enumerate(expand_entry(entry, SourceOptions(dpi=20)), start=1):\n"
        "    item.read()\n"
        "    if number in (300, 3000):\n"
        "        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
        "print(*peaks)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    early, late = map(int, done.stdout.split())  # MB
    assert late - early < 30, f"{early} MB after 300 pages, {late} MB after 3,000"


@pytest.mark.parametrize("size", [(0.0, 10.0), (float("nan"), 10.0), (float("inf"), 1.0), (-3.0, 1.0)])
def test_a_page_without_a_size_cannot_be_drawn(size: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="cannot be drawn"):
        compute_scale(size, 150)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty file (0 bytes)"),
        (b"\0\1\2\3" * 99, "not a PDF file"),
        (b"<!DOCTYPE html><html>", "not a PDF file, but an HTML page, not an image"),
        (b"no PDF at all", "not a PDF file, but a text file, not an image"),
        (pdf(b"")[:60], "a broken PDF file: its cross-reference table cannot be read or rebuilt"),
        (pdf(), "a PDF file without pages, as far as it can be read"),
    ],
    ids=["0 bytes", "bytes", "page of the web", "text", "cut", "no pages"],
)
def test_a_file_without_pages_to_draw_is_one_failure_with_its_own_reason(data: bytes, why: str) -> None:
    failed = failures(expanded("y.pdf", b"no PDF")), failures(expanded("x.pdf", data))
    assert failed[1] == {"x.pdf": why} and len(failed[0]) == 1


def test_reasons_do_not_depend_on_the_file_before() -> None:
    kinds = (b"no PDF", pdf(b"")[:60], pdf(), encrypted(ENCRYPTIONS["AES-256"]))
    reasons = {first: failures(expanded("x.pdf", first))["x.pdf"] for first in kinds}
    assert len(set(reasons.values())) == 4
    for first in kinds:
        for second in kinds:
            expanded("x.pdf", first)
            assert failures(expanded("x.pdf", second))["x.pdf"] == reasons[second]


ENCRYPTIONS = {
    "RC4 40": {"R": 2, "aes": False, "metadata": False},
    "RC4 128": {"R": 3, "aes": False, "metadata": False},
    "AES-128": {"R": 4, "aes": True, "metadata": True},
    "AES-256, Acrobat 9": {"R": 5, "aes": True, "metadata": True},
    "AES-256": {"R": 6, "aes": True, "metadata": True},
}
USER, OWNER = "reader's word", "geheim"


def encrypted(how: Mapping[str, Any], user: str = USER, owner: str = OWNER) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf(filled("1 0 0", 0, 0, 200, 100), b""))) as plain, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Acrobat 9's is deprecated
        plain.save(out, encryption=pikepdf.Encryption(owner=owner, user=user, **how))
    return out.getvalue()


def passwords(*words: str) -> tuple[PdfPassword, ...]:
    return tuple(map(PdfPassword, words))


@pytest.mark.parametrize("how", ENCRYPTIONS.values(), ids=ENCRYPTIONS)
@pytest.mark.parametrize("word", [USER, OWNER])
def test_encrypted_files_open_with_either_password(how: Mapping[str, Any], word: str) -> None:
    found = items(expanded("x.pdf", encrypted(how), pdf_passwords=passwords("wrong", word, "other")))
    assert [item.key for item in found] == ["x.pdf#page=1", "x.pdf#page=2"]
    assert near(picture(found[0].read()).getpixel((20, 20)), RED)


@pytest.mark.parametrize("how", ENCRYPTIONS.values(), ids=ENCRYPTIONS)
def test_a_missing_and_a_wrong_password_are_two_reasons_without_the_password(how: Mapping[str, Any]) -> None:
    data = encrypted(how)
    [missing] = failures(expanded("x.pdf", data)).values()
    [wrong] = failures(expanded("x.pdf", data, pdf_passwords=passwords("first", "second"))).values()
    assert missing.startswith("an encrypted PDF file that needs a password; give it by --pdf-password")
    assert wrong.startswith("an encrypted PDF file, and no given password opens it") and "first" not in wrong


def test_a_file_encrypted_against_changes_only_needs_no_password() -> None:
    assert len(items(expanded("x.pdf", encrypted(ENCRYPTIONS["AES-256"], user="")))) == 2


@pytest.mark.parametrize(
    ("how", "set_as", "typed"),
    [
        ("RC4 128", "pässwört", "pässwört"),
        ("AES-256", "pässwört", "pässwört"),
        ("AES-256", "IX", "I\u00adX"),
        ("AES-256", "é", "e\u0301"),
    ],
)
def test_a_password_may_have_any_letters_and_is_normalized_as_the_standard_asks(
    how: str, set_as: str, typed: str
) -> None:
    found = expanded("x.pdf", encrypted(ENCRYPTIONS[how], user=set_as), pdf_passwords=passwords(typed))
    assert len(items(found)) == 2


def test_a_password_is_in_no_stamp_and_in_no_text_of_its_options() -> None:
    options = SourceOptions(pdf_passwords=passwords(OWNER))
    data = encrypted(ENCRYPTIONS["AES-256"], user="")
    stamps = [
        [item.stamp for item in items(expanded("x.pdf", data, pdf_passwords=words))] for words in (passwords(OWNER), ())
    ]
    assert stamps[0] == stamps[1] and OWNER not in repr(options) + str(options)
    assert pickle.loads(pickle.dumps(options)) == options != SourceOptions(pdf_passwords=passwords("other"))


TWO_PAGES = pdf(filled("1 0 0", 0, 0, 200, 100), filled("0 0 1", 0, 0, 200, 100))


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 1000 + TWO_PAGES,
        b"HTTP/1.1 200 OK\r\n" * 1000 + TWO_PAGES,
        TWO_PAGES + b"\0" * 5000,
        TWO_PAGES + b"\n<html>" * 9,
        re.sub(rb"startxref\n\d+", b"startxref\n7", TWO_PAGES),
        re.sub(rb"startxref\n\d+", b"startxref\n99999999", TWO_PAGES),
        re.sub(rb"\d{10} 00000 n", b"0000000009 00000 n", TWO_PAGES),
        TWO_PAGES.replace(b"\n", b"\r\n"),
        TWO_PAGES[: TWO_PAGES.rindex(b"startxref")],
        TWO_PAGES[: TWO_PAGES.rindex(b"trailer")],
        TWO_PAGES[: TWO_PAGES.rindex(b"xref\n0")],
        TWO_PAGES[: TWO_PAGES.rindex(b"trailer") + 8].replace(b"endobj\nxref", b"endobj xref") + b"\n",
    ],
    ids=[
        *("1 kB before the header", "19 kB before the header", "zero bytes after the end", "a page after the end"),
        *("wrong startxref", "startxref after the end", "wrong table", "line ends changed by a transfer"),
        *("no startxref", "no trailer", "no table", "an empty trailer"),
    ],
)
def test_a_damaged_file_is_rebuilt(data: bytes) -> None:
    first, second = items(expanded("x.pdf", data))
    assert near(picture(first.read()).getpixel((9, 9)), RED) and near(picture(second.read()).getpixel((9, 9)), BLUE)


def test_of_a_file_cut_off_the_pages_that_are_left_are_drawn_and_no_blank_one() -> None:
    three = pdf(filled("1 0 0", 0, 0, 200, 100), filled("0 0 1", 0, 0, 200, 100), b"0 0 m")
    without_content = three[: three.index(b"6 0 obj")]  # of the second page; the third is lost whole
    first, second, third = items(expanded("x.pdf", without_content))
    assert near(picture(first.read()).getpixel((9, 9)), RED)
    assert reason(second) == "its content is lost: the PDF file is damaged" and "cannot be drawn" in reason(third)


def test_an_encrypted_file_without_its_trailer_is_not_drawn_as_noise() -> None:
    data = encrypted(ENCRYPTIONS["RC4 128"], user="")
    [why] = failures(expanded("x.pdf", data[: data.rindex(b"trailer")])).values()
    assert why.startswith("a broken PDF file")


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0, 1), bits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=4)
)
def test_any_damage_gives_pages_or_reasons(share: float, bits: list[tuple[float, int]]) -> None:
    data = bytearray(TWO_PAGES)
    for at, bit in bits:
        data[int(at * len(data))] ^= 1 << bit
    found = expanded("x.pdf", bytes(data[: int(share * len(data))]))
    assert found and all(failures(found).values())
    for item in items(found):
        try:
            assert picture(item.read()).size > (0, 0)
        except UnusableFile as problem:
            assert str(problem)


def test_a_page_that_fails_leaves_the_others() -> None:
    whole = pdf(filled("1 0 0", 0, 0, 200, 100), b"", filled("0 0 1", 0, 0, 200, 100))
    first, broken, last = items(expanded("x.pdf", whole.replace(b"[3 0 R 5 0 R", b"[3 0 R 9 0 R")))
    assert "cannot be drawn" in reason(broken)
    assert near(picture(first.read()).getpixel((9, 9)), RED) and near(picture(last.read()).getpixel((9, 9)), BLUE)


def test_many_threads_read_many_files_at_once_and_each_gets_its_own_page() -> None:
    def file(red: int) -> bytes:
        return pdf(*[filled(f"{red / 10} 0 {page / 10}", 0, 0, 200, 100) for page in range(8)])

    jobs = [(item, red, page) for red in range(9) for page, item in enumerate(items(expanded("x.pdf", file(red))))]
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda job: picture(job[0].read()).getpixel((20, 20)), jobs))
    assert all(near(pixel, (25 * red, 0, 25 * page)) for pixel, (_, red, page) in zip(seen, jobs, strict=True))
    assert len(pdf_module.OPEN_DOCUMENTS) <= MAX_OPEN_DOCUMENTS


def test_a_file_that_cannot_be_read_any_more_is_a_failure_with_its_reason() -> None:
    class Fails(io.BytesIO):
        broken = False

        def read(self, count: int | None = -1) -> bytes:
            if self.broken:
                raise UnusableFile("the connection failed (3 tries)")
            return super().read(count)

    file = Fails(pdf(b"", *[b"0 0 m %d 9 l S" % number + b" " * 5000 for number in range(300)]))
    [first, *_, last] = items(expanded("x.pdf", lambda: file))
    assert picture(first.read()).size == (417, 209)
    file.broken = True
    assert reason(last) == "the connection failed (3 tries)"


def test_a_pdf_larger_than_an_image_may_be_is_read_from_disk_page_by_page(tmp_path: Path) -> None:
    file = written(tmp_path / "x.pdf", pdf(b"", b"") + b"\n%" + b"x" * 1000)
    reads: list[int] = []

    class Counted(io.FileIO):
        def read(self, count: int | None = -1) -> bytes:
            reads.append(count or 0)
            return super().read(count)

    def opened() -> BinaryIO:
        return io.BufferedReader(Counted(file))  # type: ignore[return-value]

    with file.open("ab") as whole:
        whole.truncate(100_000_000)  # sparse; the end of a PDF is looked for in its last kilobyte
    with file.open("r+b") as whole:
        whole.seek(100_000_000 - 1000)
        whole.write(pdf(b"")[-60:].rjust(1000))
    found = expanded("x.pdf", opened)
    assert [item.key for item in items(found)] == ["x.pdf#page=1", "x.pdf#page=2"]
    assert failures(found) == {}
    assert sum(count for count in reads if count > 0) < 1_000_000


def test_a_program_that_leaves_files_open_ends_without_an_error(tmp_path: Path) -> None:
    file = written(tmp_path / "x.pdf", pdf(b"", b""))
    program = (
        "import sys\n"
        "from functools import partial\n"
        "from ingest.items import Facts\n"
        "from ingest.sources.base import FileEntry, SourceOptions\n"
        "from ingest.sources.file_types import expand_entry\n"
        "from ingest.sources.reading import open_regular\n"
        "entry = FileEntry('x.pdf', '/', '', partial(open_regular, sys.argv[1]), Facts)\n"
        "print([item.read().held_bytes > 100 for item in expand_entry(entry, SourceOptions())])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[True, True]", "")


def test_a_lock_is_never_left_behind_by_a_failure() -> None:
    assert failures(expanded("x.pdf", b"no PDF"))
    free = threading.Thread(target=lambda: expanded("y.pdf", pdf(b"")))
    free.start()
    free.join(timeout=30)
    assert not free.is_alive()


def test_a_folder_called_pdf_is_a_failure(tmp_path: Path) -> None:
    assert failures(expanded("x.pdf", lambda: open_regular(tmp_path))) == {"x.pdf": "a folder, not a file"}
