"""Collections and tenants in one page: each shows its own images, also where two have images of the same ids."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from clip_vectorizer.database.schema import image_id
from clip_vectorizer.query.cli.search import main as search_command
from tests.gallery.axe import find_violations
from tests.gallery.conftest import Visit
from tests.gallery.in_process import fetch, fetch_rows, find_section, list_cards, open_pages, serving_pages
from tests.stack.images import png
from tests.stack.storing import Place
from tests.stack.support import Stack, http, run_inside

pytestmark = pytest.mark.stack

RED, GREEN, BLUE = png((200, 0, 0)), png((0, 200, 0)), png((0, 0, 200))
SAME = "same.png"  # in every collection, so with one id; each has other bytes in it
ID = image_id(SAME)


@dataclass(frozen=True)
class Shelves:
    """Two collections with an image of the same id, one with two tenants, and one of another program."""

    one: str
    two: str
    tenants: str
    foreign: str

    @property
    def both(self) -> str:
        return f"{self.one} {self.two}"


@pytest.fixture(scope="module")
def shelves(stack: Stack) -> Iterator[Shelves]:
    mark = uuid4().hex[:8]
    shelves = Shelves(f"OneA{mark}", f"TwoB{mark}", f"Tenants{mark}", f"Foreign{mark}")
    Place(stack, shelves.one).ingest({SAME: RED, "more.png": BLUE})
    Place(stack, shelves.two).ingest({SAME: GREEN})
    Place(stack, shelves.tenants, tenant="ann").ingest({SAME: RED})
    Place(stack, shelves.tenants, tenant="bob").ingest({SAME: GREEN, "bobs.png": BLUE})
    stack.weaviate("POST", "/v1/schema", {"class": shelves.foreign}).raise_for_status()
    yield shelves
    for name in vars(shelves).values():
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


@pytest.fixture(scope="module")
def shelves_address(stack: Stack, shelves: Shelves) -> Iterator[str]:
    with serving_pages(stack, shelves.both) as address:
        yield address


def list_links(page: str, id: str = "places") -> dict[str, str]:
    """Path by name, of the links to collections and tenants."""
    found = re.search(rf'<details id="{id}".*?</details>', page, re.DOTALL)
    links = re.findall(r'<a href="([^"]*)"[^>]*><bdi>([^<]*)', found[0] if found else "")
    return {name: html.unescape(path) for path, name in links}


def find_picture(page: str, path: str = SAME) -> str:
    [card] = [each for each in page.split('<li class="card"') if f'data-path="{path}"' in each]
    [address] = re.findall(r'<img src="([^"]*)"', card)
    return html.unescape(address)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_images_of_the_same_id_are_not_mixed(stack: Stack, shelves: Shelves, order: tuple[str, str]) -> None:
    """Thumbnails, files, details and counts, whichever collection is looked at first."""
    expected = {"one": {SAME, "more.png"}, "two": {SAME}}
    with open_pages(stack, shelves.both) as client:
        pictures = {}
        for name in (*order, *order):
            collection = {"collection": getattr(shelves, name)}
            page = fetch(client, f"/?{urlencode(collection)}")
            assert set(list_cards(page)) == expected[name]
            pictures[name] = client.get(find_picture(page)).content
            assert client.get(f"/thumb/{ID}?{urlencode(collection)}").content == pictures[name]
            details = fetch(client, f"/image/{ID}?{urlencode(collection)}")
            assert ("more.png" in find_section(details, "neighbours")) == (name == "one")
        assert pictures["one"] != pictures["two"]


def test_counts_are_those_of_the_collection_even_where_they_are_kept(
    stack: Stack, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clip_vectorizer.gallery.facets.LONG_SECONDS", -1.0)
    monkeypatch.setattr("clip_vectorizer.gallery.facets.REUSE_FACTOR", 10_000)
    with open_pages(stack, shelves.both) as client:
        for name, count in (("one", 2), ("two", 1), ("one", 2)):
            collection = urlencode({"collection": getattr(shelves, name), "where": "label=fruit"})
            shown = re.findall(r'fruit</bdi> <span class="count">(\d+)', fetch(client, f"/facets?{collection}"))
            assert shown == [str(count)], name


def test_every_link_of_a_page_stays_in_its_collection(stack: Stack, shelves: Shelves) -> None:
    """Search, chips, filters, details, code, pictures, the form of a picture: all name it."""
    with open_pages(stack, shelves.both) as client:
        place = f"collection={shelves.two}"
        for path in (
            f"/?{place}",
            f"/?q=red&where=label%3Dfruit&{place}",
            f"/image/{ID}?q=red&{place}",
            f"/explain?q=red&{place}",
        ):
            page = fetch(client, path)
            links = [html.unescape(each) for each in re.findall(r'(?:href|src)="(/[^"]*)"', page)]
            others = [each for each in links if not each.startswith("/static/") and place not in each]
            choices = [path for name, path in list_links(page).items() if name == shelves.one]
            assert set(others) <= set(choices), path
            assert all(place in html.unescape(each) for each in re.findall(r'name="address" value="([^"]*)"', page))


def test_the_shell_command_of_a_page_prints_its_images(stack: Stack, shelves: Shelves) -> None:
    with open_pages(stack, f"{shelves.one} {shelves.tenants}") as client:
        for place in ({"collection": shelves.one}, {"collection": shelves.tenants, "tenant": "bob"}):
            query = urlencode({"q": "a blue square", **place})
            command = html.unescape(re.findall(r'id="command">([^<]*)', fetch(client, f"/?{query}"))[0])
            printed = run_inside(
                search_command, stack.env, "--json", *command.replace("'", "").split()[1:-3], "--", "a blue square"
            ).rows
            assert [row["id"] for row in printed] == [row["id"] for row in fetch_rows(client, f"/search.json?{query}")]
            assert command in html.unescape(fetch(client, f"/explain?{query}"))


def test_only_named_collections_are_shown(stack: Stack, shelves: Shelves) -> None:
    with open_pages(stack, shelves.one) as client:
        assert list_links(fetch(client, "/")) == {}, "there is no choice"
        for path in ("/", "/search.json", f"/image/{ID}", f"/thumb/{ID}", f"/full/{ID}", "/explain", "/labels.json"):
            answer = client.get(f"{path}?collection={shelves.two}")
            assert answer.status_code in (400, 404), path
            assert SAME not in answer.text and "does not show" in answer.text
        answer = client.post("/export", data={"id": ID, "address": f"collection={shelves.two}"})
        assert answer.status_code == 400 and "--collection" in answer.text


def test_without_a_name_all_collections_of_images_are_offered_and_no_others(stack: Stack, shelves: Shelves) -> None:
    with open_pages(stack, "") as client:
        page = fetch(client, f"/?collection={shelves.one}&q=red")
        offered = list_links(page)
        assert {shelves.one, shelves.two, shelves.tenants} <= set(offered)
        assert shelves.foreign not in offered and not [name for name in offered if name.endswith("Region")]
        assert not [name for name in offered if name.startswith("ImageLabel")]
        assert list_cards(fetch(client, offered[shelves.two])) == [SAME]
        assert "q=red" in offered[shelves.two], "what is searched for is kept"
        refused = fetch(client, f"/?collection={shelves.foreign}", 400)
        assert "holds no collection of images called" in refused and SAME not in refused
        assert "did you mean" in fetch(client, f"/?collection={shelves.one[:-1]}", 400)


def test_tenants_are_apart(stack: Stack, shelves: Shelves) -> None:
    with open_pages(stack, shelves.tenants) as client:
        refused = fetch(client, "/", 400)
        assert "has tenants" in refused and list_cards(refused) == []
        tenants = list_links(refused)
        assert set(tenants) == {"ann", "bob"}
        ann, bob = (fetch(client, tenants[name]) for name in ("ann", "bob"))
        assert (list_cards(ann), set(list_cards(bob))) == ([SAME], {SAME, "bobs.png"})
        assert client.get(find_picture(ann)).content != client.get(find_picture(bob)).content
        assert "has no tenant carl" in html.unescape(fetch(client, "/?tenant=carl", 400))
    with open_pages(stack, shelves.tenants, tenant="ann") as client:
        assert list_cards(fetch(client, "/")) == [SAME]
        assert "--tenant=ann" in fetch(client, "/")
        assert "does not show the tenant bob" in fetch(client, "/?tenant=bob", 400)
        assert list_links(fetch(client, "/")) == {}


def test_many_tenants_take_no_more_than_a_few_connections(stack: Stack, shelves: Shelves) -> None:
    with open_pages(stack, shelves.tenants) as client:
        for number in range(30):
            fetch(client, f"/?tenant=nobody{number}", 400)
        fetch(client, "/?tenant=ann")
        assert len(client.gallery.connection._opened) == 1


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_a_person_switches_and_goes_back(
    scripts: bool, width: int, scheme: str, shelves: Shelves, shelves_address: str, visit: Visit
) -> None:
    visitor = visit(
        "/",
        address=shelves_address,
        java_script_enabled=scripts,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    page = visitor.page
    assert set(visitor.paths if scripts else list_cards(page.content())) == {SAME, "more.png"}
    page.click("#places summary")
    if scripts:
        assert find_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visitor.follow(page.locator("#places a", has_text=shelves.two))
    assert page.url.endswith(f"/?collection={shelves.two}")
    assert page.inner_text("h1") == shelves.two and page.locator(".card").count() == 1
    page.fill("#q", "red")
    page.press("#q", "Enter")
    page.wait_for_url(re.compile("q=red"))
    assert f"collection={shelves.two}" in page.url
    page.go_back()
    page.go_back()
    assert page.inner_text("h1") == shelves.one and page.locator(".card").count() == 2
    assert http("GET", page.url).status_code == 200
