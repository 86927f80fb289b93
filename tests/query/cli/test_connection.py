"""The options that reach a collection, and what opens it by them."""

import click
import pytest

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.query.cli.caption import main as caption
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.connection import open_search
from clip_vectorizer.query.cli.ground import main as ground
from clip_vectorizer.query.cli.search import main as search

NOWHERE = "http://127.0.0.1:1"
WORDS = {
    search: ("cat", "--image", "https://x/a.png", "--allow-address", "localhost"),
    classify: ("--labels", "cat"),
    ground: ("scene.png", "a cat", "--stored"),
    caption: ("--by", "neighbours"),
}


@pytest.mark.parametrize("command", WORDS)
def test_each_command_has_every_option_that_opening_a_collection_reads(command: click.Command) -> None:
    words = [*WORDS[command], "--weaviate-url", NOWHERE]
    values = command.make_context(command.name, words).params
    with pytest.raises(WeaviateUnreachable, match=r"127\.0\.0\.1:1"):
        open_search(values)
