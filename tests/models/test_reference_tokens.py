# ruff: noqa: RUF001 (letters that look alike are the point)
"""Token ids against open_clip's tokenizer, and against transformers' built from the same file of byte pairs."""

import gzip
import html
from pathlib import Path

import ftfy
import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip import tokenizer as open_clip_tokenizer
from transformers import CLIPTokenizer

from clip_vectorizer.models.byte_pairs import BytePairTokenizer
from clip_vectorizer.models.openclip_encoder import wrap_tokenizer
from clip_vectorizer.models.tokens import TextTokenizer

CONTEXT, START, END = 77, 49406, 49407
TEXTS = [
    "a photo of a cat",
    "",
    "   two   spaces\n\ttabs  ",
    "Hello, WORLD! it's 42nd & 3.14% #tag @you http://x.y/z?q=1",
    "don't they're I'll a_b-c/d\\e",
    "naïve café Ω ß İ, schöne Grüße",
    "e\u0301 composed é",
    "русский текст, عربى, 日本語 テスト, 한국어",
    "红苹果和一只猫",
    "😀 👩‍👩‍👧🏽 ok",
    "\u200bzero width and a\u00a0hard space",
    "word " * 70,
    "word " * 200,
    "x" * 300,
    "苹" * 100,
]
# What open_clip mends before it looks (ftfy, then entities), as OpenAI's CLIP does and transformers does not
MENDED = [
    "fish &amp; chips &lt;b&gt; &amp;amp; &eacute;",
    "‘quotes’ “double” – — …",
    "１２３ ｆｕｌｌ width，中文。",
    "ÃƒÂ© was é once",
    "\x00\x07bell",
]
REFERENCE = open_clip.SimpleTokenizer()
READERS: dict[str, TextTokenizer] = {
    "open_clip's": wrap_tokenizer(open_clip.SimpleTokenizer(), CONTEXT),
    "without open_clip": BytePairTokenizer(CONTEXT),
}


@pytest.fixture(scope="module", params=READERS)
def reader(request: pytest.FixtureRequest) -> TextTokenizer:
    return READERS[request.param]


def by_open_clip(text: str) -> list[int]:
    """Without the padding behind the end token, which it has for certain."""
    row = REFERENCE(text)[0].tolist()
    return row[: len(row) - row[::-1].index(END)]


@pytest.fixture(scope="module")
def transformers_tokenizer() -> CLIPTokenizer:
    """Its vocabulary in the order that OpenAI's CLIP numbers it: bytes, bytes that end a word, merges, two marks."""
    file = Path(open_clip_tokenizer.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(file.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(open_clip_tokenizer.bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge.split()) for merge in merges]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges])


def by_transformers(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, truncation=True, max_length=CONTEXT)["input_ids"]
    return ids


@pytest.mark.parametrize("text", [*TEXTS, *MENDED, "<start_of_text> within a text <END_OF_TEXT>"])
def test_ids_are_open_clips(text: str, reader: TextTokenizer) -> None:
    assert list(reader(text).ids) == by_open_clip(text)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=120))
def test_ids_are_open_clips_for_any_text(text: str) -> None:
    for reader in READERS.values():
        assert list(reader(text).ids) == by_open_clip(text)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_transformers_for_texts_that_need_no_mending(
    text: str, transformers_tokenizer: CLIPTokenizer, reader: TextTokenizer
) -> None:
    assert list(reader(text).ids) == by_transformers(transformers_tokenizer, text)


@pytest.mark.parametrize("text", MENDED)
def test_ids_are_transformers_for_the_mended_text_and_differ_without(
    text: str, transformers_tokenizer: CLIPTokenizer, reader: TextTokenizer
) -> None:
    mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    assert list(reader(text).ids) == by_transformers(transformers_tokenizer, mended)
    assert by_transformers(transformers_tokenizer, text) != by_transformers(transformers_tokenizer, mended)


def test_a_long_text_fills_the_context_and_ends_with_the_end_token(reader: TextTokenizer) -> None:
    text = reader("word " * 200)
    assert (len(text.ids), text.ids[0], text.ids[-1], text.full_length) == (CONTEXT, START, END, 202)
    assert text.cut


def test_lengths_around_the_context_are_cut_where_open_clip_cuts_them(reader: TextTokenizer) -> None:
    lengths = [len(reader("word " * count).ids) for count in range(73, 78)]
    assert lengths == [75, 76, 77, 77, 77]
    assert [reader("word " * count).cut for count in range(73, 78)] == [False, False, False, True, True]
