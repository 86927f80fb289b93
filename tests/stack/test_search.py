"""Search finds the drawing a person means, by English, by Chinese and by picture."""

import base64
import re
from pathlib import Path

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.conftest import Run
from tests.stack.drawings import DRAWINGS
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack


def found_among_five(search: ImageSearch, language: int) -> set[str]:
    """The drawings that their own name brings among the best five of some 320."""
    return {
        drawing
        for drawing, names in DRAWINGS.items()
        if f"{drawing}.png" in [hit.path for hit in search.by_text(names[language], limit=5)]
    }


def test_an_english_name_brings_its_drawing_among_the_best_five(search: ImageSearch) -> None:
    # A guess succeeds 5 times in 317: two of 24 is rare, twelve impossible.
    found = found_among_five(search, language=0)
    assert len(found) >= 12, f"only {sorted(found)}"


def test_a_chinese_name_brings_its_drawing_among_the_best_five(search: ImageSearch) -> None:
    found = found_among_five(search, language=1)
    assert len(found) >= 10, f"only {sorted(found)}"


def test_a_drawing_finds_itself_first_and_nothing_else_as_near(search: ImageSearch) -> None:
    for drawing in list(DRAWINGS)[::6]:
        first, second = search.by_image(EXAMPLES / f"{drawing}.png", limit=2)
        assert first.path == f"{drawing}.png"
        assert first.similarity > 0.99 > second.similarity


def test_hits_come_best_first_and_similarity_is_the_cosine(search: ImageSearch) -> None:
    hits = search.by_text("banana", limit=20)
    assert len(hits) == 20
    assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)
    assert all(hit.similarity == pytest.approx(1 - hit.distance, abs=1e-5) for hit in hits)


def test_a_hit_has_the_label_and_caption_of_its_file(search: ImageSearch) -> None:
    [hit] = search.by_image(EXAMPLES / "musical instruments" / "violin.png", limit=1)
    assert (hit.path, hit.label) == ("musical instruments/violin.png", "musical instruments")
    assert hit.caption == "violin · 小提琴"


def test_the_search_command_prints_one_json_object_a_hit(run: Run, examples: str) -> None:
    rows = run("clip-search", "香蕉", "--limit", "4", "--json", "--collection", examples).rows
    assert len(rows) == 4
    assert all({"path", "similarity", "distance", "id"} <= row.keys() for row in rows)
    assert [row["distance"] for row in rows] == sorted(row["distance"] for row in rows)


def test_the_search_command_finds_a_file_by_itself(run: Run, examples: str) -> None:
    banana = EXAMPLES / "fruit" / "banana.png"
    rows = run("clip-search", "--image", banana, "--limit", "3", "--json", "--collection", examples).rows
    assert rows[0]["path"] == "fruit/banana.png"
    assert rows[0]["similarity"] > 0.99


def test_search_without_json_names_the_paths(run: Run, examples: str) -> None:
    found = run("clip-search", "--image", EXAMPLES / "fruit" / "banana.png", "--limit", "1", "--collection", examples)
    assert "fruit/banana.png" in found.stdout


@pytest.mark.parametrize("query", ["", "   "])
def test_an_empty_query_is_a_usage_error(run: Run, examples: str, query: str) -> None:
    refused = run("clip-search", query, "--collection", examples, expect=2)
    assert refused.stdout == ""
    assert "empty" in refused.stderr.lower()


def test_the_error_for_a_missing_collection_names_it_and_the_existing_ones(run: Run, examples: str) -> None:
    refused = run("clip-search", "banana", "--collection", "MissingCollection", expect=2)
    assert refused.stdout == ""
    assert "MissingCollection" in refused.stderr
    assert examples in refused.stderr


def test_searching_by_a_file_that_is_no_image_names_the_file(run: Run, examples: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.png"
    notes.write_text("not a picture")
    refused = run("clip-search", "--image", notes, "--collection", examples, expect=None)
    assert refused.exit_code not in (0, 4)
    assert "notes.png" in refused.stderr


def test_a_thumbnail_and_a_hash_of_the_image_are_stored(stack: Stack, search: ImageSearch, examples: str) -> None:
    [hit] = search.by_image(EXAMPLES / "fruit" / "lemon.png", limit=1)
    stored = stack.weaviate("GET", f"/v1/objects/{examples}/{hit.id}").json()["properties"]
    assert re.fullmatch("[0-9a-f]{64}", stored["image"])
    assert base64.b64decode(stored["thumbnail"]).startswith(b"\xff\xd8")  # a JPEG
