import base64
from html.parser import HTMLParser

import pytest

from clip_vectorizer.query import Hit
from clip_vectorizer.query.display.contact_sheet import render_contact_sheet
from clip_vectorizer.query.hits import Group

JPEG = b"\xff\xd8\xff\xe0 a thumbnail"
APPLE = Hit("fruit/red apple.png", 0.7591, 0.2409, "id-1", "fruit", "red apple · 红苹果", thumbnail=JPEG)
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Its tags, each with its attributes, and its text; tags must be closed in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(*hits: Hit, query: str = "red apple", grouped: bool = False) -> Page:
    return Page("".join(render_contact_sheet(query, "2 images", [Group("fruit", hits)], grouped)))


def test_a_sheet_shows_the_query_and_thumbnail_similarity_label_caption_and_path_of_each_hit() -> None:
    sheet = page(APPLE)
    [image] = sheet.of("img")
    assert image["src"] == f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    assert image["alt"] == APPLE.caption
    text = " ".join(sheet.text)
    assert all(part in text for part in ("red apple", "0.759", "fruit", "红苹果", "fruit/red apple.png", "id-1"))


def test_a_sheet_loads_nothing_and_forbids_loading() -> None:
    sheet = page(APPLE)
    assert not sheet.of("script") and not sheet.of("link")
    assert not any(
        "http" in value for _, attributes in sheet.tags for name, value in attributes.items() if name != "http-equiv"
    )
    [policy] = [meta["content"] for meta in sheet.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("grouped", [False, True])
def test_values_from_the_database_never_become_markup(grouped: bool) -> None:
    hit = Hit(EVIL, 0.5, 0.5, EVIL, EVIL, EVIL, copies=(EVIL,), properties={EVIL: EVIL}, thumbnail=b"<svg onload=x>")
    sheet = Page("".join(render_contact_sheet(EVIL, EVIL, [Group(EVIL, (hit,))], grouped)))
    assert not sheet.of("script") and not sheet.of("img")
    assert not any(name.startswith("on") for _, attributes in sheet.tags for name in attributes)
    assert "no thumbnail" in sheet.text
    assert sum(EVIL in text for text in sheet.text) >= 8


def test_control_characters_of_a_file_name_are_escaped_and_the_page_is_utf8() -> None:
    odd = Hit("a\x1b[31m\udcff.png", 0.5, 0.5, "id", "", "two\nlines")
    html = "".join(render_contact_sheet("q\udc80", "1 image", [Group("", (odd,))]))
    assert "a\\x1b[31m\\udcff.png" in html and "two\nlines" in html
    assert html.encode("utf-8")


def test_groups_have_headings_and_links_to_them() -> None:
    sections = [Group("fruit", (APPLE,)), Group("", (APPLE,))]
    sheet = Page("".join(render_contact_sheet("apple", "2 images", sections, grouped=True)))
    assert [link["href"] for link in sheet.of("a")] == ["#group-0", "#group-1"]
    assert [heading["id"] for heading in sheet.of("h2")] == ["group-0", "group-1"]
    assert [section["aria-labelledby"] for section in sheet.of("section")] == ["group-0", "group-1"]
    assert sheet.text.count("(none)") == 2


def test_a_screen_reader_gets_what_is_visible() -> None:
    sheet = page(APPLE)
    assert sheet.of("html") == [{"lang": "en"}] and len(sheet.of("h1")) == len(sheet.of("main")) == 1
    assert [entry["role"] for entry in sheet.of("ol")] == ["list"]
    assert "similarity " in sheet.text and " about fruit/red apple.png" in sheet.text  # not on screen
    assert len(sheet.of("summary")) == len(sheet.of("details")) == 1  # opened by keyboard, without a script


def test_a_sheet_without_hits_shows_the_count() -> None:
    sheet = Page("".join(render_contact_sheet("nothing", "0 images", [Group("", ())])))
    assert "0 images" in sheet.text and not sheet.of("li")
