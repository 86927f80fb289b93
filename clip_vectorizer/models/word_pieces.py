"""BERT's tokenizer from its `vocab.txt`: words to pieces, one piece for each Chinese character."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unicodedata import category

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.bert import PADDING
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.tokens import cut_to_context

VOCABULARY, TRAINED, OPTIONS = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
START, END, UNKNOWN, PADDING_TOKEN = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
SPECIAL_TOKENS = (UNKNOWN, END, PADDING_TOKEN, START, "[MASK]")
LONGEST_WORD = 100  # characters; a longer one is [UNK]
CN_CLIP_LONGEST_WORD = 200
OVERLOOKED = ("\U0002b820", "\U0002b91f")  # Chinese characters that tokenizers does not take for such


class WordPieceTokenizer:
    """Text to ids with [CLS] and [SEP], without padding. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self.context_length = context
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()  # the full length is needed for the warning
        self._tokenizer.no_padding()

    def __call__(self, text: str) -> PreparedText:
        return cut_to_context(self._tokenizer.encode(text).ids, self.context_length)

    def count_words(self) -> int:
        """Return the size of the vocabulary."""
        count: int = self._tokenizer.get_vocab_size()
        return count


def read_word_pieces(folder: Path, context: int) -> WordPieceTokenizer:
    """Return the tokenizer that transformers makes of `folder`. Raises ModelUnavailable.

    `context`: the most tokens, if `tokenizer_config.json` names no fewer.
    """
    options = read_options(folder / OPTIONS)
    limit = options.get("model_max_length")
    context = min(context, limit) if isinstance(limit, int) else context
    if (folder / VOCABULARY).is_file() or not (folder / TRAINED).is_file():
        tokenizer = build_word_pieces(read_vocabulary(folder / VOCABULARY), options)
        tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is not None])
        return WordPieceTokenizer(tokenizer, context)
    return WordPieceTokenizer(Tokenizer.from_file(str(folder / TRAINED)), context)


class CnClipTokenizer(WordPieceTokenizer):
    """cn_clip's: a text cannot contain [SEP] and its like; characters that Unicode has not assigned are [UNK]."""

    def __call__(self, text: str) -> PreparedText:
        return super().__call__("".join(map(clean_as_cn_clip, text)))


def clean_as_cn_clip(character: str) -> str:
    """Return what cn_clip has in place of a character, where tokenizers' BertNormalizer differs from it."""
    if character in "\t\n\r":
        return " "
    if character in "\0\ufffd" or category(character) in ("Cc", "Cf"):
        return ""
    return f" {character} " if OVERLOOKED[0] <= character <= OVERLOOKED[1] else character


def read_cn_clip_word_pieces(folder: Path, context: int) -> WordPieceTokenizer:
    """Return the tokenizer of a file of cn_clip in `folder`. Raises ModelUnavailable."""
    vocabulary = read_vocabulary(folder / VOCABULARY)
    tokenizer = build_word_pieces(vocabulary, {"clean_text": False}, CN_CLIP_LONGEST_WORD)
    return CnClipTokenizer(tokenizer, context)


def read_options(file: Path) -> Mapping[str, Any]:
    """Return `tokenizer_config.json`; empty without one. Raises ModelUnavailable."""
    if not file.is_file():
        return {}
    try:
        options: dict[str, Any] = json.loads(file.read_text("utf-8"))
        options.get("do_lower_case")
    except (ValueError, AttributeError) as error:
        raise ModelUnavailable(f"{file} is not a tokenizer's configuration ({error})") from error
    return options


def read_vocabulary(file: Path) -> dict[str, int]:
    """Return the ids of the tokens, one a line. Raises ModelUnavailable."""
    try:
        lines = file.read_text("utf-8").removesuffix("\n").split("\n")  # splitlines would split inside tokens
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelUnavailable(f"{file}: {reason}; it must be BERT's vocabulary, one token a line") from error
    vocabulary = {token: number for number, token in enumerate(lines)}
    missing = [token for token in (START, END, UNKNOWN) if token not in vocabulary]
    if missing or vocabulary.get(PADDING_TOKEN) != PADDING:
        wrong = f"no {' and no '.join(missing)}" if missing else f"no {PADDING_TOKEN} in its first line"
        raise ModelUnavailable(f"{file} is no vocabulary of BERT: it has {wrong}")
    return vocabulary


def build_word_pieces(
    vocabulary: Mapping[str, int], options: Mapping[str, Any], longest_word: int = LONGEST_WORD
) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(dict(vocabulary), unk_token=UNKNOWN, max_input_chars_per_word=longest_word))
    tokenizer.normalizer = BertNormalizer(
        clean_text=options.get("clean_text", True),
        handle_chinese_chars=options.get("tokenize_chinese_chars", True),
        strip_accents=options.get("strip_accents"),
        lowercase=options.get("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, vocabulary[token]) for token in (START, END)]
    )
    return tokenizer
