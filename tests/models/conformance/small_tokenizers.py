"""Tokenizers of transformers with small vocabularies, trained on the samples, and OpenAI's whole."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import transformers
from open_clip import tokenizer as open_clip_tokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from tests.models.conformance.samples import TEXTS

CORPUS = [*TEXTS, "the quick brown fox", "hello world"] * 3
SIZE = 300
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LANGUAGES = ["eng_Latn", "zho_Hans"]


@cache
def clip_tokenizer() -> Any:
    """OpenAI's vocabulary as OpenAI's CLIP numbers it: bytes, bytes that end a word, merges, two marks."""
    file = Path(open_clip_tokenizer.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(file.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(open_clip_tokenizer.bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge.split()) for merge in merges]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    pairs: Any = [tuple(merge.split()) for merge in merges]  # annotated as strings
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=77)


@cache
def train_pieces(*specials: str) -> list[tuple[str, float]]:
    """Pieces of a Unigram model and their scores, as SentencePiece has them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE, special_tokens=list(specials), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


@cache
def train_merges(*specials: str) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges of byte pairs over `▁` for spaces."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=list(specials), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def xlm_roberta_tokenizer() -> Any:
    pieces = train_pieces(*ROBERTA_SPECIALS)
    return transformers.XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=512)


def nllb_tokenizer() -> Any:
    vocabulary, merges = train_merges(*ROBERTA_SPECIALS)
    return transformers.NllbTokenizer(vocab=vocabulary, merges=merges, extra_special_tokens=LANGUAGES)


def t5_tokenizer() -> Any:
    pieces = train_pieces("<pad>", "</s>", "<unk>")
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0)


def gemma_tokenizer() -> Any:
    """As SigLIP 2 uses it: no start, an end, padding behind."""
    vocabulary, merges = train_merges("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    return transformers.GemmaTokenizer(
        vocab=vocabulary, merges=merges, add_bos_token=False, add_eos_token=True, padding_side="right"
    )


def bert_tokenizer() -> Any:
    letters = sorted({letter for text in CORPUS for letter in text.lower() if letter.strip()})
    words = sorted({word for text in CORPUS for word in text.lower().split() if word.isalpha()})
    pieces = [*BERT_SPECIALS, *dict.fromkeys([*letters, *(f"##{letter}" for letter in letters), *words])]
    return transformers.BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
