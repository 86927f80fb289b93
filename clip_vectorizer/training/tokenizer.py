"""Trains the tokenizer of the text tower, and encodes texts with it.

N texts · T tokens
"""

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

PAD, START, END = "<pad>", "<start>", "<end>"


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


def encode_token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Return (N, T) int64, padded with 0 to the longest text."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])
