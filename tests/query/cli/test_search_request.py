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

NOWHERE = ["--weaviate-url", "http://127.0.0.1:1", "--vectorizer-url", "http://127.0.0.1:1"]


def asked(*words: str) -> SearchCommandRequest:
    context = main.make_context("clip-search", list(words))
    return build_request(context.params)


def refusal(*words: str) -> str:
    """What a usage error says; exit code 2 tells that nobody was asked: the addresses are nobody's."""
    ended = CliRunner().invoke(main, [*words, *NOWHERE])
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.stderr
    return ended.stderr.splitlines()[-1].lower()


def test_only_what_was_given_is_asked_so_that_the_search_has_its_own_defaults() -> None:
    request = asked("red", "apple")
    assert request.asked == {"limit": 10, "offset": 0, "fold": False, "vectors": False, "thumbnails": False}
    assert request.what.parts == ((1.0, TextPart("red apple")),)
    assert request.title == "red apple"


def test_zeros_are_asked_too() -> None:
    request = asked("a", "--min-similarity", "0", "--diversity", "0", "--captions", "0")
    assert (request.asked["min_similarity"], request.asked["diversity"], request.asked["captions"]) == (0, 0, 0)
    assert not request.details.score


def test_every_option_of_a_search_reaches_it() -> None:
    words = "a --where label=x --where price<3 --auto-limit 2 --limit 5 --offset 3 --fold --json --vectors --thumbnails"
    request = asked(*words.split(), "--property", "brand", "--captions", "0.5")
    assert request.asked["where"] == ("label=x", "price<3")
    assert request.asked["auto_limit"] == 2 and request.asked["fold"] and request.asked["offset"] == 3
    assert request.asked["properties"] == ("brand",) and request.asked["vectors"] and request.asked["thumbnails"]
    assert request.details.score and request.details.copies and request.details.vector and request.details.thumbnail


def test_a_search_is_moved_with_one_force_or_the_default() -> None:
    request = asked("a", "--move-to", "sea", "--move-away", "sand", "--force", "0.8")
    assert request.asked["move_to"] == Move("sea", 0.8) and request.asked["move_away"] == Move("sand", 0.8)
    assert request.title == "a, towards sea, away from sand"
    assert asked("a", "--move-to", "sea").asked["move_to"] == Move("sea")


def test_all_that_is_looked_for_is_added_up(tmp_path: Path) -> None:
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
    request = asked(*words, "--vector", str(saved), "--plus", "tail", "--minus", "fruit")
    weights, sources = zip(*request.what.parts, strict=True)
    assert weights == (1, 2, 1, 1, 1, 1, 1, -1)
    assert sources[0] == TextPart("horse") and sources[1] == TextPart("stripes")
    assert sources[2:5] == (ImagePart(str(picture)), ImagePart("https://example.org/a.png"), StoredPart("b.png"))
    assert isinstance(sources[5], VectorPart) and sources[5].vector.tolist() == [0, 2]
    assert sources[6:] == (TextPart("tail"), TextPart("fruit"))
    assert request.title.startswith("horse + 2*stripes + ") and request.title.endswith("v.npy + tail - fruit")


def test_a_plain_text_is_one_text_whatever_is_in_it() -> None:
    assert asked("horse", "+", "stripes", "--plain").what.parts == ((1.0, TextPart("horse + stripes")),)


def test_an_image_may_come_from_standard_input() -> None:
    with CliRunner().isolation(input=b"picture"):
        assert asked("--image", "-").what.parts == ((1.0, ImagePart(b"picture")),)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say what to search with"),
        (["--limit", "3"], "say what to search with"),
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
        (["--plain", "--like", "a.png"], "--plain is about text"),
        (["a", "--force", "0.5"], "give one of them"),
        (["a", "--per-group", "2"], "--per-group goes with --group-by"),
        (["a", "--vectors"], "--vectors goes with --json"),
        (["a", "--json", "-0"], "--json and -0 exclude each other"),
        (["a", "--html", "x.html", "--explain"], "--html and --explain exclude each other"),
        (["a", "-0", "--property", "label"], "take --json"),
        (["a", "--group-by", "label", "--offset", "3"], "raise --limit"),
        (["--similar-strings", "x.txt"], "say one"),
        (["a", "--similar-strings", "x.txt", "--minus", "b", "--fold"], "not with --minus, --fold"),
        (["a", "--similar-strings", "no-such.txt"], "--similar-strings no-such.txt"),
        (["a", "--after", "x"], "--after goes with --everything"),
        (["a", "--everything"], "leave text away"),
        (["--everything", "--fold", "--html", "x.html"], "not with --fold, --html"),
        (["--everything", "--vectors"], "--vectors goes with --json"),
        (["a", "--html", "no-such-folder/x.html"], "there is no folder no-such-folder"),
        (["a", "--html", "."], "is a directory"),
        (["a", "--limit", "0"], "--limit"),
        (["a", "--diversity", "2"], "--diversity"),
        (["a", "--consistency", "some"], "--consistency"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anybody_is_asked(words: Sequence[str], says: str) -> None:
    assert says in refusal(*words)


@pytest.mark.parametrize(
    ("words", "says"),
    [([], "clip-ingest"), (["--where", "label=x", "--offset", "3"], "no image is left by --where and --offset")],
)
def test_no_hits_are_explained(words: Sequence[str], says: str) -> None:
    assert says in asked("a", *words).why_nothing
    assert "but what --like names" in asked("--like", "a.png").why_nothing


def test_thumbnails_are_read_only_where_they_are_shown() -> None:
    assert asked("a", "--html", "-").asked["thumbnails"]
    assert not asked("a", "--html", "-", "--no-thumbnails").asked["thumbnails"]
    assert asked("a", "--json", "--thumbnails").asked["thumbnails"]
    assert not asked("a", "--json").asked["thumbnails"]
    assert not asked("a").asked["thumbnails"]  # stdout is no terminal


def test_help_lists_the_options_under_headings() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    headings = [
        "What to look for",
        "Which images:",
        "In what order:",
        "Output:",
        "Instead of a search:",
        "Where it runs:",
    ]
    places = [shown.index(heading) for heading in headings]
    assert places == sorted(places)
    assert shown.index("\n  --image") < places[1] < shown.index("\n  --where") < places[3] < shown.index("\n  --json")


def test_every_option_belongs_to_a_group_or_to_where_it_runs() -> None:
    own = {option.name for option in main.params if hasattr(option, "group")}
    others = {option.name for option in main.params if isinstance(option, click.Option)} - own
    assert others == {
        "collection", "tenant", "consistency", "weaviate_url", "weaviate_grpc_port", "weaviate_api_key",
        "vectorizer_url", "vectorizer_api_key",
    }  # fmt: skip
