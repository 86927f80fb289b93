"""Labels typed into the page are those of `clip-classify`, and looking at them stores nothing."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from clip_vectorizer.query.cli.classify import main as classify_command
from tests.gallery.in_process import fetch, fetch_rows, list_cards, open_pages
from tests.stack.conftest import New
from tests.stack.support import EXAMPLES, Stack, run_inside

pytestmark = pytest.mark.stack

FRUIT = {file.name: file.read_bytes() for file in sorted((EXAMPLES / "fruit").glob("*.png"))}
LABELS = "cat,dog,panda,fish"
WORDS = [
    ["--labels", LABELS],
    ["--labels", LABELS, "--other", "0.2"],
    ["--labels", LABELS, "--prompts", "photo-80"],
    ["--labels", "猫,狗,crane: a machine / a wading bird", "--template", "a drawing of {}"],
]


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples) as client:
        yield client


def build_query(words: list[str], **more: str) -> str:
    names = [(name.removeprefix("--"), value) for name, value in zip(words[::2], words[1::2], strict=True)]
    return urlencode([("q", "animal"), ("limit", "20"), *names, *more.items()])


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_labels_of_a_page_are_those_of_the_command(
    words: list[str], pages: TestClient, stack: Stack, examples: str
) -> None:
    rows = fetch_rows(pages, f"/labels.json?{build_query(words)}")
    options = ["--json", "--query", "animal", "--limit", "20", "--collection", examples]
    printed = run_inside(classify_command, stack.env, *options, *words).rows

    assert [(row["id"], row["label"], row["runner_up"]) for row in rows] == [
        (row["id"], row["label"], row["runner_up"]) for row in printed
    ]
    assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in printed], abs=1e-5)


def test_each_card_has_its_badge_and_the_histogram_adds_up(pages: TestClient) -> None:
    page = fetch(pages, f"/?{build_query(['--labels', LABELS, '--other', '0.2'])}")
    rows = fetch_rows(pages, f"/labels.json?{build_query(['--labels', LABELS, '--other', '0.2'])}")

    assert re.findall(r'class="labelled"><bdi>(\w+)</bdi>', page) == [row["label"] for row in rows]
    counts = dict(re.findall(r'<bdi>(\w+)</bdi></th>.*?class="count">(\d+)<', page))
    assert {name: int(count) for name, count in counts.items()} == {
        name: sum(row["label"] == name for row in rows) for name in (*LABELS.split(","), "other")
    }


def test_groups_by_label_have_the_same_images(pages: TestClient) -> None:
    query = build_query(["--labels", LABELS])
    page = fetch(pages, f"/?{query}&by-label=1")
    rows = fetch_rows(pages, f"/labels.json?{query}")

    assert sorted(list_cards(page)) == sorted(row["path"] for row in rows)
    assert set(re.findall(r'<h2 dir="auto">(\w+)</h2>', page)) == {row["label"] for row in rows}


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("cat", "give at least two"),
        ("cat,cat", "is given twice"),
        ("cat,,dog", "is empty"),
        ("@/etc/hostname", "names a file, which this page does not read"),
        (",".join(f"label {number}" for number in range(201)), "use `clip-classify --labels` for more"),
    ],
)
def test_labels_that_cannot_be_used_have_a_sentence_beside_the_results(
    labels: str, sentence: str, pages: TestClient
) -> None:
    page = fetch(pages, f"/?{urlencode({'q': 'owl', 'labels': labels})}")

    assert sentence in page
    assert len(list_cards(page)) == 40


def test_prompts_come_from_no_file(pages: TestClient) -> None:
    page = fetch(pages, f"/?{urlencode({'q': 'owl', 'labels': LABELS, 'prompts': '@/etc/hostname'})}")

    assert "names a file, which this page does not read" in page


def test_looking_stores_nothing_and_storing_needs_write(stack: Stack, new: New) -> None:
    place = new()
    place.ingest(FRUIT)
    query = urlencode({"labels": "zebra fish,yellow lemon", "limit": "5"})
    with open_pages(stack, place.collection) as pages:
        fetch(pages, f"/?{query}")
        refused = pages.post("/labels", data={"address": query})
    seen = stack.weaviate("GET", "/v1/objects?class=ImageLabel&limit=1000")
    properties = stack.weaviate("GET", f"/v1/schema/{place.collection}").json()["properties"]

    assert refused.status_code == 403
    assert "--write" in refused.text
    assert "zebra fish" not in seen.text
    assert "predicted_label" not in {each["name"] for each in properties}


def test_stored_labels_are_those_of_the_page(stack: Stack, new: New) -> None:
    place = new()
    place.ingest(FRUIT)
    query = urlencode({"q": "yellow", "labels": "apple,lemon", "limit": "5"})
    with open_pages(stack, place.collection, can_write=True) as pages:
        rows = fetch_rows(pages, f"/labels.json?{query}")
        answer = pages.post("/labels", data={"address": query})
        stored = fetch_rows(pages, "/search.json?where=predicted_label%3F&property=predicted_label")

    assert "Stored the label of 5 images" in answer.text
    assert {row["id"]: row["properties"]["predicted_label"] for row in stored} == {
        row["id"]: row["label"] for row in rows
    }
