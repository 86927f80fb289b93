"""Output: hits, JSON lines, paths, contact sheets, explanations; by tenant, and from both clients."""

import asyncio
import base64
import inspect
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import AsyncImageSearch, Hit, ImageSearch, Query
from tests.stack.acceptance.gallery import PATHS
from tests.stack.acceptance.in_process import Command, connection, paths, ran, same_answer
from tests.stack.conftest import fresh_collection
from tests.stack.support import EXAMPLES, Stack

BANANA, GUITAR = EXAMPLES / "fruit" / "banana.png", EXAMPLES / "musical instruments" / "guitar.png"


pytestmark = pytest.mark.stack


def test_a_hit_has_its_vector_thumbnail_and_properties_on_request(
    pictures: ImageSearch, encoder: VectorizerClient
) -> None:
    [hit] = pictures.by_image(
        GUITAR, limit=1, include_vector=True, include_thumbnail=True, return_properties=["price", "brand"]
    )
    np.testing.assert_allclose(hit.vector, encoder.embed_images([GUITAR.read_bytes()])[0], atol=1e-6)
    assert hit.thumbnail is not None and Image.open(io.BytesIO(hit.thumbnail)).format == "JPEG"
    assert dict(hit.properties) == {"price": 80.0, "brand": "Bolt"}
    assert (hit.label, hit.similarity) == ("musical instruments", pytest.approx(1 - hit.distance, abs=1e-6))
    [bare] = pictures.by_image(GUITAR, limit=1)
    assert (bare.vector, bare.thumbnail, dict(bare.properties)) == (None, None, {})


def test_json_lines_have_the_requested_fields(clip_search: Command, encoder: VectorizerClient) -> None:
    words = ("--image", GUITAR, "--limit", 1, "--json", "--vectors", "--property", "price", "--property", "brand")
    [row] = clip_search(*words).rows
    np.testing.assert_allclose(row["vector"], encoder.embed_images([GUITAR.read_bytes()])[0], atol=1e-6)
    found = row | row.get("properties", {})
    assert (found["label"], found["price"], found["brand"]) == ("musical instruments", 80.0, "Bolt")


def test_paths_end_with_nul_for_xargs(clip_search: Command, pictures: ImageSearch) -> None:
    out = clip_search("guitar", "-0", "--limit", 3).stdout
    assert out.endswith("\0") and "\n" not in out
    assert out.split("\0")[:-1] == paths(pictures.find("guitar", limit=3))


def test_a_table_for_a_pipe_is_plain_text_best_first(clip_search: Command, pictures: ImageSearch) -> None:
    out = clip_search("guitar", "--limit", 3).stdout
    assert "\x1b" not in out
    places = [out.index(path) for path in paths(pictures.find("guitar", limit=3))]
    assert places == sorted(places)


def test_a_contact_sheet_is_one_file_with_every_picture_in_it(
    clip_search: Command, pictures: ImageSearch, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.html"
    clip_search('guitar <b>&"', "--plain", "--html", sheet, "--limit", 3)
    page = sheet.read_text(encoding="utf-8")
    assert all(path in page for path in paths(pictures.find('guitar <b>&"', limit=3)))
    embedded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert [Image.open(io.BytesIO(base64.b64decode(one))).format for one in embedded] == ["JPEG"] * 3
    assert "<b>&" not in page, "a query is text, not markup"
    assert not re.search(r'(src|href)="https?:', page), "it must open without a network"


@pytest.mark.parametrize("what", ["guitar", Query.parse("apple + green - red")], ids=["text", "mixture"])
def test_explain_shows_a_query_that_finds_the_same(
    pictures: ImageSearch, stack: Stack, gallery: str, what: Any
) -> None:
    arguments: dict[str, Any] = {"limit": 4, "filters": "label=fruit|hearts"}
    explained = pictures.explain(what, **arguments)
    assert explained.graphql is not None
    assert {row["path"] for row in stack.graphql(explained.graphql)} == set(paths(pictures.find(what, **arguments)))
    assert (
        "target_vector" in explained.python and ("near_text" if what == "guitar" else "near_vector") in explained.python
    )
    assert max(map(len, str(explained).splitlines())) <= 80


def test_the_command_explains_its_query(clip_search: Command) -> None:
    shown = clip_search("guitar", "--explain", "--limit", 2)
    assert "near_text" in shown.stdout + shown.stderr or "nearText" in shown.stdout + shown.stderr


def test_each_tenant_sees_its_own_images(stack: Stack, tmp_path: Path) -> None:
    for person, drawing in (("ann", "fruit/banana"), ("bob", "birds/owl")):
        file = tmp_path / person / f"{drawing}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes((EXAMPLES / f"{drawing}.png").read_bytes())
    for name in fresh_collection(stack):
        there = ("--collection", name, "--tenant")
        for person in ("ann", "bob"):
            ran(stack.env, "clip-ingest", tmp_path / person, *there, person)
        found = {
            person: [row["path"] for row in ran(stack.env, "clip-search", "a thing", "--json", *there, person).rows]
            for person in ("ann", "bob")
        }
        assert found == {"ann": ["fruit/banana.png"], "bob": ["birds/owl.png"]}
        refused = ran(stack.env, "clip-search", "a thing", *there, "anne", expect=2)
        assert refused.stdout == "" and "did you mean ann?" in refused.stderr


@pytest.mark.parametrize("level", ["ONE", "QUORUM", "ALL"])
def test_every_consistency_level_works(clip_search: Command, pictures: ImageSearch, level: str) -> None:
    rows = clip_search("guitar", "--consistency", level, "--limit", 3, "--json").rows
    assert [row["path"] for row in rows] == paths(pictures.find("guitar", limit=3))


def test_the_async_client_returns_the_same(stack: Stack, gallery: str, pictures: ImageSearch) -> None:
    async def answers() -> tuple[list[Hit], list[str], list[int], list[str]]:
        async with await connected() as there:
            one, two = await asyncio.gather(there.find("guitar", limit=4), there.by_image(BANANA, limit=4))
            groups = await there.groups("guitar", per_group=1, groups=3)
            pages = [len(page) async for page in there.pages("guitar", size=5)]
            listed = [listed.path async for listed in there.iterate()]
            assert same_answer(two, pictures.by_image(BANANA, limit=4))
            return one, [group.name for group in groups], pages, listed

    async def connected() -> AsyncImageSearch:
        opened = AsyncImageSearch.connect(**connection(stack), collection=gallery)
        return await opened if inspect.isawaitable(opened) else opened

    found, groups, pages, listed = asyncio.run(answers())
    assert same_answer(found, pictures.find("guitar", limit=4))
    assert groups == [group.name for group in pictures.groups("guitar", per_group=1, groups=3)]
    assert pages == [5, 5, 3] and sorted(listed) == sorted(PATHS)


def public(client: type) -> dict[str, Callable[..., Any]]:
    members = inspect.getmembers(client, inspect.isroutine)
    return {name: method for name, method in members if not name.startswith("_")}


def test_every_method_is_typed_and_documented_and_the_async_ones_take_the_same_arguments() -> None:
    documented, asynchronous = public(ImageSearch), public(AsyncImageSearch)
    wanted = {"find", "by_text", "by_image", "by_vector", "groups", "pages", "iterate", "explain", "classify"}
    assert wanted | {"connect", "close"} <= documented.keys() == asynchronous.keys()
    for name, method in documented.items():
        assert (method.__doc__ or "").strip(), f"{name} has no docstring"
        mine, theirs = inspect.signature(method), inspect.signature(asynchronous[name])
        assert mine.return_annotation is not inspect.Signature.empty
        assert mine.parameters == theirs.parameters, name
