"""Read an item, compare it with its stored state, and build the object to upload. Many threads do this at once.

Every new image is decoded here too (`ingest/preview.py`). A page of a PDF file comes as pixels, and only what is stored
or sent of it becomes a file.
"""

import hashlib
from dataclasses import dataclass, replace

from clip_vectorizer.errors import ImageRefused, InputError
from clip_vectorizer.images.model_input import parse_version
from clip_vectorizer.images.opener import decode_image, encode_plain
from clip_vectorizer.images.pixel_check import digest_recipe
from clip_vectorizer.images.settings import USUAL_DECODING, ColourMode, DecodeSettings
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    RegionResult,
    RegionTask,
    SourceContent,
    SourceItem,
    Status,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.page_pixels import PagePixels
from ingest.preview import InputFormat, decode_for_use, preview_image
from ingest.region_cuts import cut_page_corners
from ingest.region_methods import RegionKind, RegionRecipe
from ingest.store.base import ImageStore

PreparedItem = ImageObject | Amendment | ItemOutcome


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What to make of an image."""

    keep: Keep = Keep.THUMBNAIL
    near_duplicates: bool = False  # a perceptual hash for every image, also if no thumbnail is stored
    decode: DecodeSettings = USUAL_DECODING
    take_over: bool = False  # replace an image that another source stored under the same key
    regions: RegionRecipe | None = None  # None: regions stay as they are
    input: InputFormat | None = None  # None: files are sent as they are


def adapt_to_store(settings: PrepareSettings, store: ImageStore) -> PrepareSettings:
    """Return the settings with what the store keeps, and with the colours that its model is given."""
    colour: ColourMode = "raw" if store.model.preprocessing.endswith("-raw") else "srgb"
    return replace(settings, keep=store.keep, decode=replace(settings.decode, colour=colour))


def add_input(settings: PrepareSettings, store: ImageStore, by_module: bool) -> PrepareSettings:
    """Return the adapted settings with the input to send in place of files, if this process makes the same one as the
    sidecar of `store`, and the store keeps no files. The first call takes some milliseconds.

    `by_module`: Weaviate sends images to the sidecar, not this process.
    """
    if not store.pixel_check or store.keep is Keep.FULL:
        return settings
    recipe = parse_version(store.model.preprocessing)
    if not recipe or digest_recipe(recipe, DecodeSettings(colour=settings.decode.colour)) != store.pixel_check:
        return settings
    return replace(settings, input=InputFormat(recipe, compact=by_module))


def is_unchanged(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    """Whether the stored state has the same stamp, source and fit, and the regions of the run, so that the file need
    not be read."""
    return has_same_stamp(item, stored, settings) and not lacks_regions(item, stored, settings)


def has_same_stamp(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    if stored is None or not item.stamp or (settings.near_duplicates and not stored.phash):
        return False
    return (item.stamp, item.source, str(item.fit)) == (stored.stamp, stored.source, stored.fit)


def lacks_regions(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    return stored is not None and settings.regions is not None and not settings.regions.matches(item.key, stored)


def prepare(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> PreparedItem:
    """Return what to upload, or the outcome if there is nothing: unchanged, or failed with the reason. Never raises."""
    try:
        if removes_regions(settings) and has_same_stamp(item, stored, settings):
            return Amendment(item.key, item.source, item.stamp, None, regions=RegionResult(""))
        return compare_with_stored(item, item.read(), stored, settings)
    except (UnusableFile, InputError) as problem:
        return fail_item(item, str(problem).removeprefix(f"{item.key}: "))
    except Exception as error:  # no error of a decoder may stop the run
        return fail_item(item, f"{type(error).__name__}: {error}")


def compare_with_stored(
    item: SourceItem, data: SourceContent, stored: StoredState | None, settings: PrepareSettings
) -> PreparedItem:
    sha256 = digest_content(data, stored.sha256 if stored else "")
    facts = item.facts(data)
    if stored is None or (stored.sha256, stored.fit) != (sha256, str(item.fit)):
        if stored and stored.source not in ("", item.source) and not settings.take_over:
            return fail_item(item, format_clash(stored))
        return build_object(item, data, sha256, facts, stored, settings)
    return compare_same_bytes(item, data, sha256, facts, stored, settings)


def digest_content(data: SourceContent, stored: str) -> str:
    """Return the SHA-256 of a file, or of the pixels of a page.

    Earlier versions hashed the JPEG file that they made of a page: where `stored` is that hash, it is the page's.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = data.digest()
    is_older = stored not in ("", digest) and stored == hashlib.sha256(data.encode()).hexdigest()
    return stored if is_older else digest


def removes_regions(settings: PrepareSettings) -> bool:
    return settings.regions is not None and settings.regions.method.kind is RegionKind.NONE


def compare_same_bytes(
    item: SourceItem, data: SourceContent, sha256: str, facts: Facts, stored: StoredState, settings: PrepareSettings
) -> PreparedItem:
    phash = (
        preview_image(data, item.fit, Keep.NONE, True, settings.decode).phash
        if settings.near_duplicates and not stored.phash
        else ""
    )
    regions = amend_regions(item, data, sha256, facts, stored, settings)
    same_facts = stored.facts == digest_facts(facts)
    if same_facts and not (phash or regions) and (stored.stamp, stored.source) == (item.stamp, item.source):
        return ItemOutcome(item.key, Status.UNCHANGED, source=item.source)
    return Amendment(item.key, item.source, item.stamp, None if same_facts else facts, phash, regions)


def amend_regions(
    item: SourceItem, data: SourceContent, sha256: str, facts: Facts, stored: StoredState, settings: PrepareSettings
) -> RegionTask | RegionResult | None:
    """Return the task for a stored image whose regions are not those of the run."""
    if settings.regions is None:
        return None
    if removes_regions(settings):
        return RegionResult("") if stored.regions else None
    boxes = settings.regions.find_boxes(item.key, facts.boxes)
    if settings.regions.build_stamp(sha256, boxes) == stored.regions:
        return None
    return build_region_task(item, data, sha256, facts, stored, settings)


def create_regions(
    item: SourceItem,
    data: SourceContent,
    image: bytes,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
) -> RegionTask | None:
    """Return the task for a new or changed image. `image`: its file, or what is embedded; shared if not padded."""
    if settings.regions is None or removes_regions(settings):
        return None
    return build_region_task(item, data, sha256, facts, stored, settings, image if item.fit is Fit.CROP else b"")


def build_region_task(
    item: SourceItem,
    data: SourceContent,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
    picture: bytes = b"",
) -> RegionTask:
    """`picture`: a file to cut regions from, if there is one already."""
    recipe = settings.regions
    assert recipe is not None
    boxes = recipe.find_boxes(item.key, facts.boxes)
    task = RegionTask(recipe.build_stamp(sha256, boxes), picture, facts, boxes, was_stamped=has_regions(stored))
    if isinstance(data, PagePixels) and recipe.method.kind is RegionKind.CORNERS:
        return replace(task, picture=b"", crops=cut_page_corners(data, recipe.method))
    return replace(task, picture=picture or make_picture(data, settings.decode))


def has_regions(stored: StoredState | None) -> bool:
    return stored is not None and bool(stored.regions)


def make_picture(data: SourceContent, settings: DecodeSettings) -> bytes:
    """Return the file to cut regions from: the image, or a plain one if not every sidecar reads it.

    Raises UnusableFile.
    """
    if isinstance(data, PagePixels):
        return data.encode()
    try:
        decoded = decode_for_use(data, Fit.CROP, is_seen=False, settings=settings)
        return data if decoded.is_plain else encode_plain(decode_image(data, settings).pixels)
    except ImageRefused as refused:
        raise UnusableFile(refused.reason) from refused


def build_object(
    item: SourceItem,
    data: SourceContent,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
) -> ImageObject:
    seen = preview_image(data, item.fit, settings.keep, settings.near_duplicates, settings.decode, settings.input)
    picture = data if seen.is_input and isinstance(data, bytes) else seen.image
    return ImageObject(
        key=item.key,
        source=item.source,
        stamp=item.stamp,
        sha256=sha256,
        fit=item.fit,
        facts=facts,
        mime=seen.mime,
        size=len(data if isinstance(data, bytes) else seen.image),
        image=seen.image,
        thumbnail=seen.thumbnail,
        phash=seen.phash,
        damage=seen.damage,
        ignored_profile=seen.ignored_profile,
        replaces=stored is not None,
        regions=create_regions(item, data, picture, sha256, facts, stored, settings),
    )


def format_clash(stored: StoredState) -> str:
    return (
        f"the collection holds another image under this path, from {stored.source}; "
        "keep both with --prefix NAME, or replace that one with --take-over"
    )


def fail_item(item: SourceItem, reason: str) -> ItemOutcome:
    return ItemOutcome(item.key, Status.FAILED, reason, item.source)
