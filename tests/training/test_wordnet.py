from pathlib import Path

import pytest

from clip_vectorizer.training.wordnet import Synset, WordNet, parse_synset
from tests.training.word_lists import write_wordnet


@pytest.fixture
def words(tmp_path: Path) -> WordNet:
    return WordNet(write_wordnet(tmp_path / "dict"))


def test_a_meaning_has_words_a_definition_without_examples_and_wider_meanings(words: WordNet) -> None:
    assert words.synsets["00000002"] == Synset(("shape", "form"), "any spatial attribute", ("00000001",))
    assert words.synsets["00000004"].words == ("circle", "ring")


def test_the_licence_is_no_meaning(words: WordNet) -> None:
    assert len(words.synsets) == 8
    assert len(words.senses) == 5


def test_a_count_of_words_is_hexadecimal() -> None:
    words = " ".join(f"word{number} 0" for number in range(16))
    line = f"00000001 03 n 10 {words} 001 @ 00000002 n 0000 | sixteen words  "
    synset = parse_synset(line)
    assert len(synset.words) == 16
    assert synset.hypernyms == ("00000002",)


def test_an_instance_is_of_a_wider_meaning_too(words: WordNet) -> None:
    assert words.synsets["00000008"].hypernyms == ("00000001",)


def test_narrower_meanings_are_no_wider_ones(words: WordNet) -> None:
    assert [synset.words[0] for synset in words.climb("00000004")] == ["round shape", "shape", "entity"]


@pytest.mark.parametrize("name", ["circle", "Circle", "circles"])
def test_a_word_is_found_in_plural_and_in_capitals(words: WordNet, name: str) -> None:
    assert words.find_senses(name) == ["00000005", "00000004"]  # in the order of the index


def test_a_phrase_is_found_as_one_word(words: WordNet) -> None:
    assert words.find_senses("round shape") == ["00000003"]
    assert words.find_senses("square circle") == []
