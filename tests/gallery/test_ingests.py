"""How far a running clip-ingest is, on the page: from its state file, without a reload, and after its end."""

import html
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from clip_vectorizer.gallery.ingests import describe
from clip_vectorizer.ingest_state import IngestState, name_database, read_states, write_state
from clip_vectorizer.query.cli.search import main as search_command
from tests.gallery.axe import find_violations
from tests.gallery.browsing import serving_gallery
from tests.gallery.conftest import Visit
from tests.gallery.in_process import fetch, list_cards, open_pages
from tests.stack.images import png
from tests.stack.storing import Place
from tests.stack.support import BIN, Stack, clean_environment, http, run_command, run_inside

LONG = 120_000  # milliseconds for a command to start and list its files, and for a page to look: every 15 s
NOW = 1_800_000_000.0
STATE = IngestState("db", "Image", None, 1, NOW - 60, NOW, "running", 12_340, 0, 50_000, True, 85.0)


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([STATE], "clip-ingest is running: 12,340 of 50,000 stored, 85 a second, some 7 minutes left"),
        ([replace(STATE, complete=False)], "clip-ingest is running: 12,340 stored, 85 a second"),
        ([replace(STATE, rate=0.5, failed=2)], "clip-ingest is running: 12,340 of 50,000 stored, 2 failed, "
         "30 a minute, some 21 hours left"),
        ([replace(STATE, rate=0)], "clip-ingest is running: 12,340 of 50,000 stored"),
        ([STATE, replace(STATE, stored=660)], "clip-ingest is running in 2 processes: 13,000 of 100,000 stored, "
         "170 a second, some 9 minutes left"),
        ([replace(STATE, status="watching")], "clip-ingest watches for changes: 12,340 stored"),
        ([replace(STATE, beat=NOW - 11)], "clip-ingest stopped after 12,340; run clip-ingest again to go on"),
        ([replace(STATE, status="stopped")], "clip-ingest stopped after 12,340; run clip-ingest again to go on"),
        ([replace(STATE, status="finished", failed=3)], "clip-ingest finished: 12,340 stored, 3 failed"),
        ([replace(STATE, status="stopped", beat=NOW - 50), replace(STATE, status="finished")],
         "clip-ingest finished: 12,340 stored"),
        ([replace(STATE, status="finished", beat=NOW - 3600)], ""),
        ([replace(STATE, beat=NOW - 3 * 24 * 3600)], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_states_become_a_sentence(states: list[IngestState], text: str) -> None:
    assert describe(states, NOW).text == text


@pytest.fixture
def place(stack: Stack) -> Iterator[Place]:
    place = Place(stack, f"Fill{time.time_ns()}")
    place.ingest({"first.png": png((9, 9, 9))})
    yield place
    stack.weaviate("DELETE", f"/v1/schema/{place.collection}").raise_for_status()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    slow = png((9, 99, 9), side=2000)  # to decode; with 3,000 of them the command outlasts the looks at the page
    for number in range(3000):
        (pictures / f"{number:04}.png").write_bytes(slow + number.to_bytes(2))
    return pictures


@contextmanager
def filling(place: Place, folder: Path, state: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [BIN / "clip-ingest", folder, "--collection", place.collection]
    env = clean_environment() | place.stack.env | {"XDG_STATE_HOME": str(state)}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.stack
def test_a_page_follows_an_ingest_until_it_is_killed_and_one_that_ends(
    place: Place, folder: Path, tmp_path: Path, visit: Visit
) -> None:
    env = place.stack.env | {"XDG_STATE_HOME": str(tmp_path)}
    with serving_gallery("--collection", place.collection, env=env) as address:
        visitor = visit("/", address=address, viewport={"width": 360, "height": 700}, color_scheme="dark")
        page, line = visitor.page, visitor.page.locator("#ingest span")
        assert line.count() == 0
        with filling(place, folder, tmp_path) as process:
            line.filter(
                has_text=re.compile(r"clip-ingest is running: [\d,]+ of 3,000 stored, .* a (second|minute)")
            ).wait_for(timeout=LONG)
            first = line.inner_text()
            page.wait_for_function("(first) => document.querySelector('#ingest span').textContent !== first", arg=first)
            assert find_violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.locator("#ingest-news").inner_text().startswith("clip-ingest is running")
            plain = html.unescape(http("GET", f"{address}/").text)
            assert "clip-ingest is running" in plain, "without scripts a reload shows it"
            process.send_signal(signal.SIGKILL)
        stopped = re.compile(r"clip-ingest stopped after [\d,]+; run clip-ingest again to go on")
        line.filter(has_text=stopped).wait_for(timeout=LONG)
        assert re.match(stopped, page.locator("#ingest-news").inner_text())
        for file in sorted(folder.iterdir())[20:]:
            file.unlink()
        run_command("clip-ingest", folder, "--collection", place.collection, env=env, expect=0)
        page.reload()
        assert line.inner_text() == "clip-ingest finished: 20 stored"
        page.click("#ingest a")
        page.wait_for_url(re.compile("newest=1"))
        visitor.cards.first.wait_for()
        assert visitor.paths and "first.png" not in visitor.paths


@pytest.mark.stack
def test_only_the_ingest_of_the_collection_is_shown(place: Place, tmp_path: Path) -> None:
    now = time.time()
    mine = replace(STATE, database=name_database(place.stack.weaviate_url), collection=place.collection, beat=now)
    for number, other in enumerate((replace(mine, database="else:80"), replace(mine, collection="Other"),
                                    replace(mine, tenant="ann"))):  # fmt: skip
        write_state(tmp_path / f"{number}.json", other)
    with open_pages(place.stack, place.collection) as client:
        client.gallery.ingests = tmp_path
        assert "clip-ingest" not in fetch(client, "/ingest")
        write_state(tmp_path / "mine.json", mine)
        assert "12,340 of 50,000" in fetch(client, "/ingest") and "12,340 of 50,000" in fetch(client, "/")
        assert len(list(read_states(tmp_path))) == 4
        assert client.get("/ingest?collection=Other").status_code == 400
        client.gallery.ingests = None
        assert "clip-ingest is" not in fetch(client, "/ingest")


@pytest.mark.stack
def test_the_newest_images_come_first_and_more_of_them_on_demand(place: Place) -> None:
    for number in range(3):
        place.ingest({f"{'cab'[number]}{each:02}.png": png((number, each, 7)) for each in range(20)})
    with open_pages(place.stack, place.collection) as client:
        page = fetch(client, "/?newest=1")
        cards = list_cards(page)
        assert (
            len(cards) == 40 and {path[0] for path in cards[:20]} == {"b"} and {path[0] for path in cards[20:]} == {"a"}
        )
        more = html.unescape(re.findall(r'id="more" rel="next" href="([^"]*)"', page)[0])
        assert list_cards(fetch(client, more))[-1] == "first.png"
        words = ("--list", "--newest", "--limit", "40", "--json", "--collection", place.collection)
        assert [row["path"] for row in run_inside(search_command, place.stack.env, *words).rows] == cards
        assert list_cards(fetch(client, "/?newest=1&where=path~c*")) and "c19.png" in fetch(
            client, "/?newest=1&where=path~c*"
        )
        assert "newest" not in re.findall(r'id="kept" hidden>(.*?)</div>', page)[0], "a search has an order of its own"
        assert client.get("/?newest=1&q=owl").status_code == 400
