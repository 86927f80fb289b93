"""`clip-search --regions` alone, and with a corner."""

import pytest

from clip_vectorizer.query.cli.search import join_corner


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("owl --regions", "owl --regions=all"),
        ("--regions owl --json", "--regions=all owl --json"),
        ("owl --regions --where area<0.2", "owl --regions=all --where area<0.2"),
        ("--regions corner:top-left owl", "--regions=corner:top-left owl"),
        ("--regions corner=top-left", "--regions=corner=top-left"),
        ("--regions=corner:top-left owl", "--regions=corner:top-left owl"),
        ("--regions -- corner:top-left --regions", "--regions=all -- corner:top-left --regions"),
        ("corner:top-left", "corner:top-left"),
    ],
)
def test_regions_take_the_next_word_only_if_it_names_a_corner(given: str, read: str) -> None:
    assert list(join_corner(given.split())) == read.split()
