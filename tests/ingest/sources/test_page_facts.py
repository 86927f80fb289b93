import io
import time

import pikepdf
import pypdfium2
import pytest

from clip_vectorizer.images.pdf_objects import MAX_OBJECTS
from ingest.sources.page_facts import MAX_BLOCK_CHARACTERS, PageFacts, clean_text, read_page_facts
from tests.ingest.sources.pdf_files import filled, pdf
from tests.ingest.sources.support import expanded, items
from tests.ingest.sources.test_pdf import rebuilt

LINES = b"0 0 m 10 10 l 20 20 l S "  # 3 segments
FORM = b"<</Type/XObject/Subtype/Form/BBox[0 0 99 99]%s/Length %d>>stream\n%s\nendstream"


def say(words: str, x: float, y: float) -> bytes:
    return f"BT /F1 8 Tf {x} {y} Td ({words}) Tj ET ".encode()


def facts_of(data: bytes, number: int = 1) -> PageFacts:
    document = pypdfium2.PdfDocument(data)
    page = document[number - 1]
    try:
        return read_page_facts(page)
    finally:
        page.close()
        document.close()


def test_a_page_has_its_facts_as_metadata_once_it_was_read() -> None:
    content = LINES + say("Motor Shaft", 130, 12) + say("elsewhere", 10, 80) + filled("0 0 0", 0, 0, 50, 50)
    [item] = items(expanded("x.pdf", pdf(content)))
    assert item.facts(b"").metadata == {"page": 1}
    found = dict(item.facts(item.read()).metadata)
    ink = found.pop("ink")
    assert isinstance(ink, float) and 0.12 < ink < 0.16  # an eighth is filled, and there are words
    assert found == {
        **{"page": 1, "path_segments": 8, "embedded_images": 0, "characters": 22, "block_text": "Motor Shaft"},
        **{"page_width": 200.0, "page_height": 100.0},
    }


def test_a_blank_page_has_no_ink_and_no_block_text() -> None:
    [item] = items(expanded("x.pdf", pdf(b"")))
    found = item.facts(item.read()).metadata
    assert (found["ink"], found["path_segments"], found["characters"]) == (0.0, 0, 0) and "block_text" not in found


@pytest.mark.parametrize(
    ("turn", "size", "block"),
    [(0, (200, 100), "right"), (90, (100, 200), "upper"), (180, (200, 100), "left"), (270, (100, 200), "lower")],
)
def test_the_block_of_a_turned_page_is_at_its_lower_right_as_it_is_seen(
    turn: int, size: tuple[float, float], block: str
) -> None:
    """Words in each corner of the page as it is written; a turn by 90 degrees is clockwise."""
    corners = {"right": (170, 4), "left": (4, 92), "upper": (170, 92), "lower": (4, 4)}
    content = b"".join(say(words, *place) for words, place in corners.items())
    found = facts_of(pdf(content, page=f"/Rotate {turn}"))
    assert (found.page_width, found.page_height, found.block_text) == (*size, block)


def test_a_page_is_measured_within_its_crop_box() -> None:
    content = say("cut off", 160, 5) + say("block", 60, 25)
    found = facts_of(pdf(content, page="/CropBox[0 20 100 80]"))
    assert (found.page_width, found.page_height, found.block_text) == (100.0, 60.0, "block")


def test_segments_and_images_within_nested_forms_count() -> None:
    image = b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>"
    image += b"stream\n\0\nendstream"
    inner = FORM % (b"/Resources<</XObject<</I 7 0 R>>>>", len(LINES) + 6, LINES + b"/I Do ")
    outer = FORM % (b"/Resources<</XObject<</G 6 0 R>>>>", len(LINES) + 12, LINES + b"/G Do /G Do ")
    data = pdf(LINES + b"/F Do ", extra=(outer, inner, image)).replace(
        b"/Resources<<>>", b"/Resources<</XObject<</F 5 0 R>>>>"
    )
    found = facts_of(rebuilt(data))
    assert (found.path_segments, found.embedded_images) == (4 * 3, 2)


def test_a_form_that_draws_itself_ends() -> None:
    endless = FORM % (b"/Resources<</XObject<</F 5 0 R>>>>", len(LINES) + 6, LINES + b"/F Do ")
    data = pdf(b"/F Do ", extra=(endless,)).replace(b"/Resources<<>>", b"/Resources<</XObject<</F 5 0 R>>>>", 1)
    assert facts_of(rebuilt(data)).path_segments >= 3


def test_a_page_of_half_a_million_segments_is_counted_in_a_moment() -> None:
    whole = facts_of(pdf(b"0 0 m " + b"9 9 l 0 9 l " * 250_000 + b"S"))
    assert whole.path_segments == 500_001
    document = pypdfium2.PdfDocument(pdf(b"0 0 m 9 9 l S " * 250_000))
    page = document[0]
    began = time.perf_counter()
    many = read_page_facts(page)
    took = time.perf_counter() - began
    assert many.path_segments == 2 * MAX_OBJECTS and took < 1.0
    page.close()
    document.close()


def test_a_long_block_is_cut_and_its_words_are_on_one_line() -> None:
    found = facts_of(pdf(b"".join(say(f"word {n}", 110, n / 10) for n in range(300))))
    assert found.characters > MAX_BLOCK_CHARACTERS >= len(found.block_text) > 100 and "\n" not in found.block_text


def test_text_is_cleaned_of_what_cannot_be_printed() -> None:
    assert clean_text("Motor\r\nSh\x02aft\x00\x00 \ufffe1:5\u00a0") == "Motor Shaft 1:5"


def test_a_page_of_a_scan_has_an_image_and_nothing_else() -> None:
    document = pikepdf.new()
    page = document.add_blank_page(page_size=(300, 200))
    stream = pikepdf.Stream(document, b"\x80" * 100)
    stream.update({"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Image, "/Width": 10, "/Height": 10})
    stream.update({"/ColorSpace": pikepdf.Name.DeviceGray, "/BitsPerComponent": 8})
    page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=stream))
    page.Contents = pikepdf.Stream(document, b"300 0 0 200 0 0 cm /I Do")
    out = io.BytesIO()
    document.save(out)
    found = facts_of(out.getvalue())
    assert (found.path_segments, found.embedded_images, found.characters) == (0, 1, 0)
