"""Which source the images are of that somebody wants to have classified."""

import os
from collections.abc import Iterator
from itertools import chain, islice

from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.hits import Hit, Listed
from clip_vectorizer.query.pictures import ImageEncoder, Picture
from clip_vectorizer.query.zeroshot.asking import Images, Wanted
from clip_vectorizer.query.zeroshot.collection import Collected
from clip_vectorizer.query.zeroshot.sources import Everything, Files, Hits, Source

ALONE = (str, bytes, os.PathLike, Image.Image, Hit, Listed)  # one image, not several
MIXED = "the images are files and hits in one list; classify them one after the other"


def source_of(
    images: Images, limit: int | None, wanted: Wanted, collected: Collected | None, encoder: ImageEncoder
) -> Source:
    """Raises InputError for what `wanted` cannot be asked of such images."""
    if limit is not None and limit < 0:
        raise InputError(f"limit {limit}: expected how many images are classified, 0 or more")
    if images is None:
        wanted.check_source(are_files=False, is_everything=True)
        there = collection_of(collected)
        there.check(wanted.where)
        return Everything(there, wanted.where, limit)
    given: Iterator[Picture | Hit | Listed] = iter([images] if isinstance(images, ALONE) else images)
    head = list(islice(given, 1))
    if not head:
        return Files((), encoder, 0)
    are_hits = isinstance(head[0], Hit | Listed)
    wanted.check_source(not are_hits, is_everything=False)
    some = islice(chain(head, given), limit)
    return Hits(list(map(hit, some)), collection_of(collected)) if are_hits else Files(map(file, some), encoder)


def hit(image: Picture | Hit | Listed) -> Hit | Listed:
    if not isinstance(image, Hit | Listed):
        raise InputError(MIXED)
    return image


def file(image: Picture | Hit | Listed) -> Picture:
    if isinstance(image, Hit | Listed):
        raise InputError(MIXED)
    return image


def collection_of(collected: Collected | None) -> Collected:
    if collected is None:
        raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
    return collected
