"""Saved searches: on the page, in its file, and in a shell."""

import html
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from clip_vectorizer.query.cli.search import main as search_command
from clip_vectorizer.query.saved_searches import SavedSearches
from tests.gallery.axe import find_violations
from tests.gallery.conftest import Visit
from tests.gallery.hostile import WORDS
from tests.gallery.in_process import GalleryClient, fetch, fetch_rows, list_cards, open_pages, serving_pages
from tests.stack.support import EXAMPLES, Stack, run_inside

pytestmark = pytest.mark.stack

SEARCHES = [
    [("q", "red apple"), ("where", "label=fruit")],
    [("q", "owl"), ("limit", "7"), ("offset", "7")],
    [("q", "fruit"), ("group-by", "label"), ("limit", "4")],
    [("like", "animals/cat.png"), ("minus", "animal"), ("dedupe", "1")],
    [("q", "-1 apple"), ("diversity", "0.5"), ("captions", "0.2")],
    [("where", "label=fruit"), ("limit", "9")],
]


def save(client: GalleryClient, name: str, address: str, status: int = 303) -> str:
    answer = client.post("/saved", data={"name": name, "address": address}, follow_redirects=False)
    assert answer.status_code == status, answer.text
    return answer.headers["location"] if status == 303 else html.unescape(answer.text)


def list_saved(page: str) -> dict[str, str]:
    """Path by name, as the page lists them."""
    [found] = re.findall(r'<details id="saved".*?</details>', page, re.DOTALL)
    links = re.findall(r'<li><a href="([^"]*)"><bdi>(.*?)</bdi>', found)
    return {html.unescape(name): html.unescape(path) for path, name in links}


def test_a_saved_search_shows_the_same_images_after_a_restart_and_in_a_shell(
    stack: Stack, examples: str, tmp_path: Path
) -> None:
    file = tmp_path / "searches.json"
    with open_pages(stack, examples, searches=file) as client:
        for number, pairs in enumerate(SEARCHES):
            assert save(client, f"search {number}", urlencode(pairs)) == f"/?{urlencode(pairs)}"
    with open_pages(stack, examples, searches=file) as client:
        saved = list_saved(fetch(client, "/"))
        assert list(saved) == [f"search {number}" for number in range(len(SEARCHES))]
        for number, pairs in enumerate(SEARCHES):
            from_start = [pair for pair in pairs if pair[0] != "offset"]
            expected = [row["id"] for row in fetch_rows(client, f"/search.json?{urlencode(from_start)}")]
            path = saved[f"search {number}"]
            assert f"collection={examples}" in path, "galleries begin with different collections"
            assert [row["id"] for row in fetch_rows(client, path.replace("/?", "/search.json?"))] == expected
            words = ("--saved", f"search {number}", "--searches", file, "--json")
            printed = [row["id"] for row in run_inside(search_command, stack.env, *words).rows]
            assert printed == expected and printed
    limited = run_inside(search_command, stack.env, "--saved", "search 0", "--searches", file, "--json", "--limit", "2")
    assert len(limited.rows) == 2


def test_a_search_with_a_picture_works_after_a_restart(stack: Stack, examples: str, tmp_path: Path) -> None:
    file, cat = tmp_path / "searches.json", (EXAMPLES / "animals/cat.png").read_bytes()
    with open_pages(stack, examples, searches=file) as client:
        sent = client.post("/image", files={"image": ("my cat.png", cat)}, headers={"X-Fragment": "path"}).json()
        address = urlencode({"image": sent["image"], "q": "animal"})
        before = list_cards(fetch(client, f"/?{address}"))
        save(client, "cats", address)
    with open_pages(stack, examples) as client:
        assert "no longer has the picture" in fetch(client, f"/?{address}", 400)
    with open_pages(stack, examples, searches=file) as client:
        page = fetch(client, list_saved(fetch(client, "/"))["cats"])
        assert list_cards(page) == before and before[0] == "animals/cat.png" and "my cat.png" in page
        thumbnail = client.get(f"/upload/{sent['image'].removeprefix('sha256:')}")
        assert thumbnail.headers["content-type"] == "image/jpeg"
    printed = run_inside(search_command, stack.env, "--saved", "cats", "--searches", file, "--json").rows
    assert [row["path"] for row in printed] == before
    file.write_text(file.read_text().replace('"revision": "', '"revision": "x'))
    refused = run_inside(search_command, stack.env, "--saved", "cats", "--searches", file, expect=5)
    assert "send the picture to the page again" in refused.stderr


def test_names_are_renamed_and_removed_without_scripts(stack: Stack, examples: str, tmp_path: Path) -> None:
    file = tmp_path / "searches.json"
    with open_pages(stack, examples, searches=file) as client:
        save(client, "owls", "q=owl")
        save(client, "apples", "q=apple")
        assert "saved as 'owls' already" in save(client, "owls", "q=cat", 400)
        assert "needs a name" in save(client, "  ", "q=cat", 400)
        assert "no option of this page" in save(client, "wrong", "qq=cat", 400)
        client.post("/saved/rename", data={"name": "owls", "new": "night birds", "address": "q=owl"})
        client.post("/saved/remove", data={"name": "apples"})
        assert list(list_saved(fetch(client, "/"))) == ["night birds"]
        assert "any more" in html.unescape(client.post("/saved/remove", data={"name": "apples"}).text)
        for path in ("/saved", "/saved/rename", "/saved/remove"):
            sent = client.post(path, data={"name": "night birds", "new": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
            assert sent.status_code == 403
    assert [each.name for each in SavedSearches(file).read_all()] == ["night birds"]


def test_a_broken_file_is_a_sentence_beside_results_that_work(stack: Stack, examples: str, tmp_path: Path) -> None:
    file = tmp_path / "searches.json"
    file.write_text('{"mine": "important"')
    with open_pages(stack, examples, searches=file) as client:
        page = fetch(client, "/?q=owl")
        assert "cannot be read" in page and "--searches FILE" in page and len(list_cards(page)) == 40
        assert "cannot be read" in save(client, "owls", "q=owl", 400)
        assert "cannot be read" in fetch(client, "/saved")
    assert file.read_text() == '{"mine": "important"'
    refused = run_inside(search_command, stack.env, "--saved", "owls", "--searches", file, expect=2)
    assert "cannot be read" in refused.stderr


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_saves_opens_and_removes(
    scripts: bool, stack: Stack, examples: str, tmp_path: Path, visit: Visit
) -> None:
    with serving_pages(stack, examples, searches=tmp_path / "searches.json") as address:
        visitor = visit(
            "/",
            address=address,
            java_script_enabled=scripts,
            color_scheme="dark",
            viewport={"width": 360, "height": 700},
        )
        page = visitor.page
        visitor.search("a red apple")
        page.click("#saved summary")
        page.fill("#save-name", "red apples")
        if scripts:
            assert find_violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visitor.follow(page.locator("#saved button"))
        assert page.url.endswith("/?q=a+red+apple")
        page.goto(address)
        page.click("#saved summary")
        visitor.follow(page.locator("#saved a", has_text="red apples"))
        assert page.input_value("#q") == "a red apple"
        page.click("#saved summary")
        visitor.follow(page.locator("#saved a", has_text="Rename"))
        assert not scripts or find_violations(page) == []
        page.fill("[name=new]", "apples")
        visitor.follow(page.get_by_role("button", name="Rename red apples"))
        assert page.locator(".saved a").all_inner_texts() == ["apples"]
        visitor.follow(page.get_by_role("button", name="Remove apples"))
        assert page.locator("#status").inner_text().startswith("No search is saved yet. Search, then open")


def test_hostile_names_are_text(stack: Stack, examples: str, tmp_path: Path, visit: Visit) -> None:
    """Also in a file that someone else wrote: names, addresses and pictures run nothing and lead nowhere else."""
    file = tmp_path / "searches.json"
    names = [name for name in dict.fromkeys(each.strip()[:100].strip() for each in WORDS) if name.isprintable()]
    with open_pages(stack, examples, searches=file) as client:
        for name in names:
            save(client, name, "q=owl")
    more = '{"name": "<img src=x onerror=alert(1)>\\u202e", "address": "\\"><script>=alert(1)</script>//evil.example"}'
    file.write_text(file.read_text().replace('"searches": [', f'"searches": [{more},'))
    with serving_pages(stack, examples, searches=file) as address:
        visitor = visit("/", address=address, failures=True)
        visitor.page.click("#saved summary")
        assert visitor.page.locator("#saved li").count() == len(names) + 1
        visitor.follow(visitor.page.locator("#saved li a").first)
        assert visitor.page.url.startswith(address) and visitor.page.locator("#problem").is_visible()
        visitor.open("/saved")
        assert visitor.page.locator(".saved img, .saved script").count() == 0
