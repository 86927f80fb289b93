"""Forty images that attack the page: no script of theirs runs, nothing is fetched elsewhere, and their words are shown.

Every visitor of these tests is watched: a dialog, an error in the console, or a request to another host fails the test.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from playwright.sync_api import expect

from clip_vectorizer.gallery.facets import quote_value
from clip_vectorizer.terminal import escape_line
from ingest.cli import main as ingest_command
from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit
from tests.gallery.hostile import CAMERA, IMAGE_TAG, LABELS, WORDS, HostileImage, write_images
from tests.gallery.in_process import serving_pages
from tests.stack.support import EXAMPLES, Stack, fresh_collection, http, run_inside

pytestmark = pytest.mark.stack

# What a page has of its own; anything else came out of a name.
SCRIPTS_AND_FRAMES = (
    "script:not([src^='/static/']), iframe, object, embed, base, style, meta[http-equiv], template, "
    "svg:not(.frames, .meter, .points, .swatch, .up, .along)"
)
HANDLERS = "(nodes) => nodes.flatMap((node) => node.getAttributeNames().filter((name) => name.startsWith('on')))"
LIKE_LINKS = "(cards) => cards.map((card) => [card.dataset.id, card.querySelector('a.like').getAttribute('href')])"
RUNNING_LINKS = "a[href^='javascript:' i], a[href^='data:' i], a[href^='http']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, HostileImage]:
    """By the beginning of the file name, which is a number."""
    return {Path(image.path).name[:2]: image for image in write_images(folder)}


@pytest.fixture(scope="module")
def hostile(stack: Stack, folder: Path, images: dict[str, HostileImage]) -> Iterator[str]:
    """The address of a gallery with them, and with their files."""
    for collection in fresh_collection(stack):
        ran = run_inside(ingest_command, stack.env, folder, "--exif", "--collection", collection, "--json")
        assert ran.rows[-1]["added"] == len(images) == 40, ran
        with serving_pages(stack, collection, folder) as address:
            yield address


@pytest.fixture(scope="module")
def ids(hostile: str) -> dict[str, str]:
    """The ids of the images, by the beginning of the file name."""
    rows = [json.loads(line) for line in http("GET", f"{hostile}/search.json?limit=60").text.splitlines()]
    return {next(key for key in re.findall(r"(?:^|/)(\d\d) ", row["path"])): row["id"] for row in rows}


def assert_harmless(visitor: Visitor) -> None:
    page = visitor.page
    assert page.locator(SCRIPTS_AND_FRAMES).count() == 0
    assert page.locator("*").evaluate_all(HANDLERS) == []
    assert page.locator(RUNNING_LINKS).count() == 0
    assert (
        page.locator("img").evaluate_all("(all) => all.filter((each) => each.getAttribute('src') === 'x').length") == 0
    )
    assert page.url.startswith(visitor.address)


def test_a_list_shows_every_name_and_caption_as_it_is(
    visit: Visit, hostile: str, images: dict[str, HostileImage]
) -> None:
    visitor = visit("/?limit=60", address=hostile)
    assert_harmless(visitor)
    rows = visitor.cards.evaluate_all(
        "(cards) => cards.map((card) => [card.querySelector('.path bdi').textContent,"
        " card.querySelector('.caption').textContent, card.querySelectorAll('.caption *, .path bdi *').length])"
    )
    shown = {Path(name.replace("\\n", "")).name[:2]: (name, caption, inner) for name, caption, inner in rows}
    assert len(shown) == len(images)
    for key, image in images.items():
        name, caption, inner = shown[key]
        assert name == escape_line(image.path)
        assert caption == escape_line(image.caption)
        assert inner == 0, "a name is text, without elements in it"


def test_no_character_turns_the_text_around_it(visit: Visit, hostile: str) -> None:
    """A name that ends in a reversed "exe" would pass for a picture's."""
    visitor = visit("/?limit=60", address=hostile)
    text = visitor.page.locator("main").text_content() or ""
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x07\x1b\x7f")
    assert r"\u202egnp.exe" in text


@pytest.mark.parametrize("key", ["00", "01", "03", "05", "10", "16", "23", "33", "38"])
def test_the_page_of_an_image_is_harmless(
    visit: Visit, hostile: str, images: dict[str, HostileImage], ids: dict[str, str], key: str
) -> None:
    visitor = visit(f"/image/{ids[key]}?limit=60", address=hostile)
    assert_harmless(visitor)
    shown = visitor.page.locator("main").text_content() or ""
    assert f"{key} " in shown and escape_line(images[key].caption) in shown


def test_filters_show_hostile_values_and_find_them(visit: Visit, hostile: str) -> None:
    visitor = visit("/", address=hostile)
    assert_harmless(visitor)
    for facet, value in (("label", LABELS[0]), ("label", LABELS[1]), ("camera", CAMERA)):
        visitor.open("/")
        before = visitor.page.url
        links = visitor.page.locator(f".facet[data-name={facet}] li a")
        texts = links.locator("bdi").all_text_contents()
        assert value in texts
        link = links.nth(texts.index(value))
        count = int(link.locator(".count").inner_text())
        link.click()
        visitor.page.wait_for_url(lambda url, before=before: url != before)
        expect(visitor.cards).to_have_count(count)
        expect(visitor.page.locator(f".facet[data-name={facet}] a[aria-current]")).to_have_count(1)
        assert_harmless(visitor)


@pytest.mark.parametrize(
    "query",
    [
        *(f"q={quote_plus(words)}" for words in (IMAGE_TAG, WORDS[0], WORDS[10], WORDS[18], WORDS[32])),
        "q=red&group-by=label&per-group=1",
        f"where={quote_plus('label=' + IMAGE_TAG)}",
        f"like={quote_plus(IMAGE_TAG)}",
        f"q=red&plus={quote_plus(IMAGE_TAG)}&minus={quote_plus(WORDS[0])}",
        f"{quote_plus(IMAGE_TAG)}=1",
        f"q=red&group-by={quote_plus(IMAGE_TAG)}",
        f"q=red&min-similarity={quote_plus(IMAGE_TAG)}",
        f"image={quote_plus(IMAGE_TAG)}",
    ],
)
def test_an_address_cannot_attack_the_page(visit: Visit, hostile: str, query: str) -> None:
    visitor = visit(f"/?{query}", address=hostile, failures=True)
    assert_harmless(visitor)
    assert visitor.page.locator("#problem, #status").count() == 1


@pytest.mark.parametrize(
    "query", ["", "?colour=camera", "?box=0,0,1,0.5&q=red", f"?where={quote_plus('camera=' + quote_value(CAMERA))}"]
)
def test_the_map_shows_hostile_names_as_text(visit: Visit, hostile: str, query: str) -> None:
    visitor = visit(f"/map{query}", address=hostile)
    expect(visitor.page.locator("#cells")).to_be_visible()
    assert_harmless(visitor)
    text = f"{visitor.page.locator('main').text_content()}{visitor.page.locator('#cells').inner_html()}"
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x07\x1b\x7f")


@pytest.mark.parametrize("query", ["", "?where=taken_at%3D2001", f"?where={quote_plus('label=' + LABELS[0])}"])
def test_the_time_line_shows_hostile_names_as_text(visit: Visit, hostile: str, query: str) -> None:
    visitor = visit(f"/timeline{query}", address=hostile)
    expect(visitor.page.locator("#bars")).to_be_visible()
    assert_harmless(visitor)


@pytest.mark.parametrize("path", ["/map", "/timeline"])
@pytest.mark.parametrize("name", ["box", "layout", "colour", "by", "where", "q", IMAGE_TAG])
def test_no_parameter_of_a_view_attacks_it(visit: Visit, hostile: str, path: str, name: str) -> None:
    visitor = visit(f"{path}?{quote_plus(name)}={quote_plus(IMAGE_TAG)}", address=hostile, failures=True)
    assert_harmless(visitor)
    expect(visitor.page.locator("#problem, #status, #computing").first).to_be_visible()


def test_a_hostile_path_is_searched_by_its_own_link(visit: Visit, hostile: str, ids: dict[str, str]) -> None:
    visitor = visit("/?limit=60", address=hostile)
    links = dict(visitor.cards.evaluate_all(LIKE_LINKS))
    for key in ("01", "30", "33", "38"):
        visitor.open(links[ids[key]])
        expect(visitor.page.locator("#problem")).to_have_count(0)
        assert visitor.ids and ids[key] not in visitor.ids
        assert_harmless(visitor)


@pytest.mark.parametrize("name", [IMAGE_TAG + ".png", "<script>alert(1)</script>.png", "\u202egnp.png"])
def test_the_name_of_a_picture_that_is_sent_is_text(visit: Visit, gallery: str, name: str) -> None:
    visitor = visit("/")
    visitor.drop(name, (EXAMPLES / "animals" / "crab.png").read_bytes())  # which no other test sends: its name stays
    visitor.page.wait_for_url("**/?image=sha256*")
    assert_harmless(visitor)
    assert "\u202e" not in visitor.page.locator("body").inner_text()


def test_files_come_as_pictures_under_their_names(hostile: str, images: dict[str, HostileImage]) -> None:
    """From --root: names with every character that a header must not have."""
    rows = [json.loads(line) for line in http("GET", f"{hostile}/search.json?limit=60").text.splitlines()]
    assert len(rows) == len(images)
    for row in rows:
        answer = http("GET", f"{hostile}/full/{row['id']}")
        if "\\" in row["path"]:
            assert answer.status_code == 404, "a backslash parts folders elsewhere"
            continue
        assert answer.status_code == 200, row["path"]
        assert answer.headers["content-type"] in ("image/png", "image/jpeg")
        assert answer.headers["x-content-type-options"] == "nosniff"
        disposition = answer.headers["content-disposition"]
        assert disposition.isascii() and disposition.startswith("inline; filename*=UTF-8''")
        assert disposition.endswith(quote(Path(row["path"]).name, safe=""))
        assert "set-cookie" not in answer.headers


def test_a_page_that_another_site_frames_is_refused(visit: Visit, hostile: str) -> None:
    """The browser itself keeps the policy: an inline script of a caption would not run, and no frame shows the page."""
    visitor = visit("/", address=hostile)
    errors = visitor.page.evaluate(
        """() => new Promise((resolve) => {
          const found = [];
          document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "http://evil.example/x.png";
          document.body.append(image);
          setTimeout(() => resolve([...found, String(window.ran)]), 50);
        })"""
    )
    assert sorted(errors) == ["img-src", "script-src-elem", "undefined"]
    visitor.errors.clear()  # the two that were caused here
    visitor.foreign.clear()
