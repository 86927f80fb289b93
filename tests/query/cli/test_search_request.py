from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from clip_vectorizer.query.cli.search import main
from clip_vectorizer.query.cli.search_request import SearchCommandRequest, build_request
from clip_vectorizer.query.search.arguments import Move
from clip_vectorizer.query.search.query import ImagePart, StoredPart, TextPart, VectorPart

NOWHERE = {"WEAVIATE_URL": "http://127.0.0.1:1", "VECTORIZER_URL": "http://127.0.0.1:1"}


def parse(*words: str) -> SearchCommandRequest:
    request = build_request(main.make_context("clip-search", list(words)).params)
    assert isinstance(request, SearchCommandRequest)
    return request


def refusal(*words: str) -> str:
    """The last line of a usage error; exit code 2 shows that nothing was contacted: nothing listens there."""
    ended = CliRunner().invoke(main, words, env=NOWHERE)
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.stderr
    return ended.stderr.splitlines()[-1].lower()


def test_only_given_options_are_passed_on_so_that_the_search_has_its_own_defaults() -> None:
    request = parse("red", "apple")
    assert request.arguments == {
        "limit": 10, "offset": 0, "deduplicate": False, "include_vector": False, "include_thumbnail": False,
    }  # fmt: skip
    assert request.query.parts == ((1.0, TextPart("red apple")),)
    assert request.title == "red apple"


def test_zeros_are_passed_on_too() -> None:
    request = parse("a", "--min-similarity", "0", "--diversity", "0", "--captions", "0")
    assert [request.arguments[name] for name in ("min_similarity", "diversity", "alpha")] == [0, 0, 1]
    assert not request.fields.score


def test_every_option_of_a_search_reaches_it() -> None:
    words = (
        "a --where label=x --where price<3 --auto-limit 2 --limit 5 --offset 3 --dedupe --json --vectors --thumbnails"
    )
    request = parse(*words.split(), "--thumbnails", "--property", "brand", "--captions", "0.5")
    arguments = request.arguments
    assert arguments["filters"] == ("label=x", "price<3")
    assert arguments["auto_limit"] == 2 and arguments["deduplicate"] and arguments["offset"] == 3
    assert (
        request.arguments["return_properties"] == ("brand",)
        and request.arguments["include_vector"]
        and request.arguments["include_thumbnail"]
    )
    assert request.fields.score and request.fields.copies and request.fields.vector and request.fields.thumbnail


def test_a_search_is_moved_with_one_force_or_the_default() -> None:
    request = parse("a", "--move-to", "sea", "--move-away", "sand", "--force", "0.8")
    assert request.arguments["move_to"] == Move("sea", 0.8) and request.arguments["move_away"] == Move("sand", 0.8)
    assert request.title == "a, towards sea, away from sand"
    assert parse("a", "--move-to", "sea").arguments["move_to"] == Move("sea")


def test_all_parts_of_the_query_are_added_up(tmp_path: Path) -> None:
    picture, saved = tmp_path / "a.png", tmp_path / "v.npy"
    picture.write_bytes(b"...")
    np.save(saved, np.array([[0, 2]], dtype=np.float32))
    words = [
        "horse",
        "+",
        "2*stripes",
        "--image",
        str(picture),
        "--image",
        "https://example.org/a.png",
        "--like",
        "b.png",
    ]
    request = parse(*words, "--vector", str(saved), "--plus", "tail", "--minus", "fruit")
    weights, sources = zip(*request.query.parts, strict=True)
    assert weights == (1, 2, 1, 1, 1, 1, 1, -1)
    assert sources[0] == TextPart("horse") and sources[1] == TextPart("stripes")
    assert sources[2:5] == (ImagePart(str(picture)), ImagePart("https://example.org/a.png"), StoredPart("b.png"))
    assert isinstance(sources[5], VectorPart) and sources[5].vector.tolist() == [0, 2]
    assert sources[6:] == (TextPart("tail"), TextPart("fruit"))
    assert request.title.startswith("horse + 2*stripes + ") and request.title.endswith("v.npy + tail - fruit")


def test_stored_images_are_added_and_subtracted() -> None:
    request = parse("--like", "a.png", "--unlike", "b.png", "--unlike", "c.png")
    assert request.query.parts == ((1.0, StoredPart("a.png")), (-1.0, StoredPart("b.png")), (-1.0, StoredPart("c.png")))
    assert request.title == "a.png - b.png - c.png"


def test_a_plain_text_is_one_text() -> None:
    assert parse("horse", "+", "stripes", "--plain").query.parts == ((1.0, TextPart("horse + stripes")),)


def test_an_image_may_come_from_standard_input() -> None:
    with CliRunner().isolation(input=b"picture"):
        assert parse("--image", "-").query.parts == ((1.0, ImagePart(b"picture")),)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "nothing to search with"),
        (["--limit", "3"], "nothing to search with"),
        ([""], "empty"),
        ([" \t"], "empty"),
        (["a", "--minus", ""], "empty"),
        (["a", "--move-to", " "], "empty"),
        (["a", "+"], "a text is missing"),
        (["a", "--image", "no-such.png"], "--image no-such.png: no such file"),
        (["--image", "."], "a folder; name one file"),
        (["--vector", "no-such.npy"], "--vector no-such.npy: no such file"),
        (["--vector", __file__], "give a file of numpy.save"),
        (["a", "--property", "thumbnail"], "holds a file's bytes"),
        (["a", "--group-by", "image", "--json"], "holds a file's bytes"),
        (["-5"], "clip-search -- '-5'"),
        (["- cat"], "goes after --"),
        (["a", "--move-away", "b", "--force", "1e30"], "force 1e+30"),
        (["--plain", "--like", "a.png"], "--plain works only with text"),
        (["a", "--force", "0.5"], "add --move-to or --move-away"),
        (["a", "--per-group", "2"], "--per-group works only with --group-by"),
        (["a", "--vectors"], "--vectors works only with --json"),
        (["a", "--json", "-0"], "--json does not work with -0"),
        (["a", "--html", "x.html", "--explain"], "--html does not work with --explain"),
        (["a", "-0", "--property", "label"], "--json prints both"),
        (["a", "--group-by", "label", "--offset", "3"], "remove --offset"),
        (["--similar-strings", "x.txt"], "--similar-strings works only with text"),
        (["a", "--similar-strings", "x.txt", "--minus", "b", "--dedupe"], "remove --minus and --dedupe"),
        (["a", "--similar-strings", "no-such.txt"], "--similar-strings no-such.txt"),
        (["a", "--after", "x"], "--after works only with --list"),
        (["a", "--list"], "remove text"),
        (["--list", "--dedupe", "--html", "x.html"], "remove --dedupe and --html"),
        (["--list", "--vectors"], "--vectors works only with --json"),
        (["a", "--html", "no-such-folder/x.html"], "there is no folder no-such-folder"),
        (["a", "--html", "."], "is a directory"),
        (["a", "--limit", "0"], "--limit"),
        (["a", "--diversity", "2"], "--diversity"),
        (["a", "--consistency", "some"], "--consistency"),
    ],
)
def test_unusable_options_are_refused_before_anything_is_contacted(words: Sequence[str], expected: str) -> None:
    assert expected in refusal(*words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], "clip-ingest"), (["--where", "label=x", "--offset", "3"], "no image is left by --where and --offset")],
)
def test_no_hits_are_explained(words: Sequence[str], expected: str) -> None:
    assert expected in parse("a", *words).why_nothing
    assert "other than those of --like" in parse("--like", "a.png").why_nothing


def test_thumbnails_are_read_only_if_they_are_shown() -> None:
    assert parse("a", "--html", "-").arguments["include_thumbnail"]
    assert not parse("a", "--html", "-", "--no-thumbnails").arguments["include_thumbnail"]
    assert parse("a", "--json", "--thumbnails").arguments["include_thumbnail"]
    assert not parse("a", "--json").arguments["include_thumbnail"]
    assert not parse("a").arguments["include_thumbnail"]  # stdout is no terminal


def test_help_lists_the_options_under_headings() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    headings = [
        "Query (all parts are added up):",
        "Which images:",
        "\nOrder:",
        "Output:",
        "Instead of a search:",
        "Database and sidecar:",
    ]
    places = [shown.index(heading) for heading in headings]
    assert places == sorted(places)
    assert shown.index("\n  --image") < places[1] < shown.index("\n  --where") < places[3] < shown.index("\n  --json")


def test_every_option_belongs_to_a_group_or_to_the_connection() -> None:
    own = {option.name for option in main.params if hasattr(option, "group")}
    others = {option.name for option in main.params if isinstance(option, click.Option)} - own
    assert others == {
        "collection", "tenant", "consistency", "weaviate_url", "weaviate_grpc_port", "weaviate_api_key",
        "vectorizer_url", "vectorizer_api_key",
    }  # fmt: skip
