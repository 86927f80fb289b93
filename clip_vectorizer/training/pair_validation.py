"""Recall of a model in training on the images held out, by all processes together.

N images · D dimensions
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.errors import InputError, TrainingDiverged
from clip_vectorizer.training.captioned_images import CaptionedImage
from clip_vectorizer.training.pair_loader import PairLoader
from clip_vectorizer.training.pair_losses import PairRecall, measure_pair_recall
from clip_vectorizer.training.trainable import TrainableClip
from clip_vectorizer.training.training_group import ALONE, TrainingGroup
from clip_vectorizer.vectors import Vectors


def measure_run_recall(
    clip: TrainableClip,
    images: Sequence[CaptionedImage],
    loader: PairLoader,
    batch: int,
    group: TrainingGroup = ALONE,
) -> PairRecall:
    """Measure recall of the first caption of each image. Raises TrainingDiverged, InputError without two images."""
    clip.model.eval()
    read, images_nd = embed_held_out(clip, loader, batch, group)
    if len(read) < 2:
        raise InputError("fewer than two images for validation can be read; name others with --validation")
    captions = [images[at].captions[0] for at in read]
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    texts_md = embed_captions(clip, list(numbers), batch, group)
    if not (np.isfinite(images_nd).all() and np.isfinite(texts_md).all()):
        raise TrainingDiverged("the vectors of the validation are no numbers; lower --learning-rate")
    recall = measure_pair_recall(images_nd, texts_md, np.array([numbers[caption] for caption in captions]))
    return group.share_first(recall)  # a tie that other hardware breaks must not stop one process alone


@torch.no_grad()
def embed_held_out(
    clip: TrainableClip, loader: PairLoader, batch: int, group: TrainingGroup
) -> tuple[list[int], Vectors]:
    """Return the numbers of the images that can be read, and their (N, D) unit rows."""
    read: list[int] = []
    rows: list[Tensor] = []
    for numbers, pixels_bss3 in loader.load_all(batch, group):
        read += numbers
        rows.append(clip.embed_images(pixels_bss3.to(clip.mode.device)))
    return [at for part in group.gather_values(read) for at in part], join_rows(clip, rows, group)


@torch.no_grad()
def embed_captions(clip: TrainableClip, captions: Sequence[str], batch: int, group: TrainingGroup) -> Vectors:
    part = group.choose_part(captions)
    rows = [
        clip.embed_texts(clip.encode_ids(part[start : start + batch]).to(clip.mode.device))
        for start in range(0, len(part), batch)
    ]
    return join_rows(clip, rows, group)


def join_rows(clip: TrainableClip, rows: Sequence[Tensor], group: TrainingGroup) -> Vectors:
    own = torch.cat(list(rows)) if rows else torch.zeros(0, 0, device=clip.mode.device)
    joined: Vectors = group.gather_rows(own)[0].cpu().numpy()
    return joined


def format_recall(recall: PairRecall) -> str:
    first, back = recall.image_to_text[0], recall.text_to_image[0]
    return f"recall@1 of image -> text {first:.3f}, text -> image {back:.3f}"
