"""Batches of captioned images, in an order that depends on the seed and the epoch alone.

So a run that continues at any step has the batches of a run that was never stopped: only the step is stored.

B batch · S side · T tokens
"""

import os
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.models.preprocess import PixelRecipe, prepare_pixels, sides
from clip_vectorizer.training.captioned_images import CaptionedImage
from clip_vectorizer.training.training_group import ALONE, TrainingGroup
from clip_vectorizer.vectors import Box, Pixels

MAX_THREADS = 8  # that decode; more wait for the disk or for the model's threads


class CaptionTokenizer(Protocol):
    def encode_ids(self, texts: Sequence[str]) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Pairs whose image could be read."""

    step: int  # from 0
    pixels_bss3: Tensor  # uint8
    ids_bt: Tensor  # int64

    def __len__(self) -> int:
        return len(self.ids_bt)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Which images each step has: every epoch in another order; what is left at its end is dropped."""

    images: int
    batch: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps of an epoch, at least one."""
        return max(1, self.images // self.batch)

    def choose(self, step: int) -> list[int]:
        """
        >>> BatchOrder(5, 2, seed=7).choose(0) == BatchOrder(5, 2, seed=7).choose(0)
        True
        """
        epoch, place = divmod(step, self.steps)
        order_n = draw_epoch(self.images, self.seed, epoch)
        return [int(index) for index in order_n[place * self.batch : (place + 1) * self.batch]]


@lru_cache(maxsize=2)  # the epoch that is trained, and the next one where batches are read ahead
def draw_epoch(images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(images)


class PairLoader:
    """Reads, decodes and crops in threads, one batch ahead. `skip` is called once for each unreadable image."""

    def __init__(
        self,
        images: Sequence[CaptionedImage],
        recipe: PixelRecipe,
        texts: CaptionTokenizer,
        skip: Callable[[str, str], object],
    ) -> None:
        self._images, self._recipe, self._texts, self._skip = images, recipe, texts, skip
        self._skipped: set[str] = set()

    def load_steps(
        self, order: BatchOrder, steps: range, least_crop: float, group: TrainingGroup = ALONE
    ) -> Generator[PairBatch]:
        """Yield this process's part of a batch a step, with a random crop of each image, and a random caption.

        `least_crop` is the least share of the area that a crop keeps. Unreadable images are left out, so a batch may
        be empty.
        """
        with ThreadPoolExecutor(count_threads(), "decode") as pool:

            def submit(step: int) -> list[Future[Pixels | None]]:
                part = group.choose_part(order.choose(step))
                return [pool.submit(self._draw_view, order, step, at, least_crop) for at in part]

            ahead = submit(steps.start) if steps else []
            for step in steps:
                views, ahead = ahead, submit(step + 1) if step + 1 < steps.stop else []
                part = group.choose_part(order.choose(step))
                yield self._collect(order, step, part, [view.result() for view in views])

    def load_all(self, batch: int, group: TrainingGroup = ALONE) -> Iterator[tuple[list[int], Tensor]]:
        """Yield the numbers of the images that can be read, in order, and their pixels without crops."""
        part = group.choose_part(range(len(self._images)))
        with ThreadPoolExecutor(count_threads(), "decode") as pool:
            for start in range(0, len(part), batch):
                chosen = part[start : start + batch]
                views = pool.map(lambda at: self._prepare(at, None), chosen)
                found = [(at, view) for at, view in zip(chosen, views, strict=True) if view is not None]
                if found:
                    yield [at for at, _ in found], stack_pixels([view for _, view in found])

    def _collect(self, order: BatchOrder, step: int, part: Sequence[int], views: Sequence[Pixels | None]) -> PairBatch:
        found = [(at, view) for at, view in zip(part, views, strict=True) if view is not None]
        captions = [self._draw_caption(order, step, at) for at, _ in found]
        if not found:
            return PairBatch(step, torch.empty(0), torch.empty(0))
        return PairBatch(step, stack_pixels([view for _, view in found]), self._texts.encode_ids(captions))

    def _draw_caption(self, order: BatchOrder, step: int, at: int) -> str:
        return random.Random(f"caption {order.seed} {step} {at}").choice(self._images[at].captions)

    def _draw_view(self, order: BatchOrder, step: int, at: int, least_crop: float) -> Pixels | None:
        crop = DrawnCrop(least_crop, random.Random(f"crop {order.seed} {step} {at}"))
        return self._prepare(at, crop if least_crop < 1 else None)

    def _prepare(self, at: int, crop: "DrawnCrop | None") -> Pixels | None:
        """Return (S, S, 3) uint8; None for an image that cannot be read, which is reported once."""
        image = self._images[at]
        try:
            decoded = decode_image(image.read(), least_side=self._recipe.size)
        except (ImageRefused, OSError) as error:
            if image.key not in self._skipped:
                self._skipped.add(image.key)
                self._skip(image.key, str(error))
            return None
        return prepare_view(decoded.pixels, decoded.box, self._recipe, crop)


@dataclass(frozen=True, slots=True)
class DrawnCrop:
    """A random part of an image of the same shape, with at least `least` of its area."""

    least: float
    rng: random.Random

    def draw(self, box: Box) -> Box:
        side = self.rng.uniform(self.least, 1) ** 0.5
        wide, high = (length * side for length in sides(box))
        left = box[0] + self.rng.random() * (sides(box)[0] - wide)
        top = box[1] + self.rng.random() * (sides(box)[1] - high)
        # The sum of floats may be past the edge by a rounding, which Pillow refuses.
        return left, top, min(left + wide, box[2]), min(top + high, box[3])


def prepare_view(image: Image.Image, box: Box, recipe: PixelRecipe, crop: DrawnCrop | None) -> Pixels:
    return prepare_pixels(image, recipe, crop.draw(box) if crop else box)


def stack_pixels(views: Sequence[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(views))


def count_threads() -> int:
    return min(MAX_THREADS, os.cpu_count() or 1)
