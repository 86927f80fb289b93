"""Captions for drawings, and the tokenizer trained on them."""

import random
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from clip_vectorizer.training.drawings import Concept

PAD, START, END = "<pad>", "<start>", "<end>"
TEMPLATES_EN = (
    "a drawing of {}",
    "an emoji of {}",
    "{} emoji",
    "a picture of {}",
    "an icon of {}",
    "a photo of {}",
    "a {}",
    "the {}",
)
TEMPLATES_ZH = ("{}的图画", "{}的表情符号", "一张{}的图片", "{}图标", "一个{}", "{}的照片")
PLAIN_SHARE = 0.7  # captions of single tags slow learning: too many concepts share them
TEMPLATE_SHARE = 0.15  # the rest: the name with some of its tags


def draw_english_caption(concept: Concept, rng: random.Random) -> str:
    return draw_caption(concept.name_en, concept.tags_en, TEMPLATES_EN, ", ", rng)


def draw_chinese_caption(concept: Concept, rng: random.Random) -> str:
    return draw_caption(concept.name_zh, concept.tags_zh, TEMPLATES_ZH, ",", rng)


def draw_caption(name: str, tags: Sequence[str], templates: Sequence[str], comma: str, rng: random.Random) -> str:
    """Return the plain name mostly; else a template, or the name with a few of its tags."""
    draw = rng.random()
    if draw < PLAIN_SHARE:
        return name
    if draw < PLAIN_SHARE + TEMPLATE_SHARE or not tags:
        return rng.choice(templates).format(name)
    words = [name, *rng.sample(tags, min(len(tags), rng.randint(1, 3)))]
    rng.shuffle(words)
    return comma.join(words)


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> Tokenizer:
    """Train a byte-level BPE with lower-casing. The end token has the highest id: CLIP pools texts at the argmax."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        special_tokens=[PAD, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([END])
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{START} $A {END}", special_tokens=[(START, start), (END, end)]
    )
    tokenizer.enable_truncation(context)
    return tokenizer


def build_corpus(concepts: Sequence[Concept]) -> list[str]:
    """Return every name, tag and template once: the training text of the tokenizer."""
    words = [text for item in concepts for text in (item.name_en, item.name_zh, *item.tags_en, *item.tags_zh)]
    return words + [template.format("") for template in TEMPLATES_EN + TEMPLATES_ZH]


def encode_token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Return (N, longest) int64, padded with 0."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])
