"""What `clip-ground` does: find the boxes, print them, and write the files that are named."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from PIL import Image

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import ImageRefused, InputError, Unreachable
from clip_vectorizer.images.opener import DecodedImage, decode_image
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.cli.connection import open_search
from clip_vectorizer.query.cli.label_names import split_names
from clip_vectorizer.query.display.tables import prepare_streams, print_json, print_table
from clip_vectorizer.query.grounding.coco import build_coco
from clip_vectorizer.query.grounding.ground import GroundContext, GroundOptions, ground_picture
from clip_vectorizer.query.grounding.groundings import Grounding, PhraseBox, PictureGroundings
from clip_vectorizer.query.grounding.image_names import find_stored_key, list_near_files
from clip_vectorizer.query.grounding.page import list_places, render_page
from clip_vectorizer.query.grounding.picture import can_draw, encode_picture
from clip_vectorizer.query.image_inputs import shorten_name
from clip_vectorizer.terminal import escape_line

if TYPE_CHECKING:
    from clip_vectorizer.query.image_search import ImageSearch


def run(values: Mapping[str, Any]) -> None:
    """`values`: the command's parameters. Raises what connecting and grounding raise."""
    prepare_streams()
    sentence, options = build_request(values)
    files = [values[name] for name in WRITERS if values[name]]
    with open_context(values) as context:
        found, decoded = ground_picture(values["image"], sentence, options, context)
        pixels = choose_pixels(found, decoded, context) if files else None
    show(found, values["as_json"])
    if pixels is not None:
        write_files(values, found, pixels)


def build_request(values: Mapping[str, Any]) -> tuple[str, GroundOptions]:
    """The sentence and the options. Raises click.UsageError without a sentence and without phrases."""
    sentence = " ".join(values["sentence"])
    if not sentence.strip() and not values["phrases"]:
        raise click.UsageError('no SENTENCE; add one, such as "a cat next to a red apple", or --phrases cat,apple')
    listed = [name for option in values["phrases"] for name in split_names(option)]
    return sentence, GroundOptions(
        phrases=listed or None,
        stored=values["stored"],
        threshold=values["threshold"],
        nms=values["nms"],
        top=values["top"],
        exclusive=values["exclusive"],
        prompts=values["prompts"],
        templates=values["templates"] or None,
    )


@contextmanager
def open_context(values: Mapping[str, Any]) -> Iterator[GroundContext]:
    """Connect to what is needed: a file is grounded by the sidecar alone, without a database."""
    if find_stored_key(values["image"], values["stored"]) is not None:
        with connect_collection(values) as search:
            yield search.grounding
        return
    guard = AddressGuard.parse(values["allow_addresses"])
    with VectorizerClient(values["vectorizer_url"], api_key=values["vectorizer_api_key"]) as sidecar:
        yield GroundContext(sidecar.meta(), sidecar, None, guard)


def connect_collection(values: Mapping[str, Any]) -> "ImageSearch":
    """Raises InputError and Unreachable that begin with the file's name if it was probably meant to be a file."""
    try:
        return open_search(values)
    except (InputError, Unreachable) as error:
        if values["stored"]:
            raise
        raise explain_missing_file(values["image"], error) from error


def explain_missing_file(name: str, error: InputError | Unreachable) -> InputError | Unreachable:
    """`error`: why it could not be looked for in the collection, either."""
    meant = did_you_mean(name, list_near_files(name)) or "check the name. "
    sentence = f"no file is called {shorten_name(name)}; {meant}As a stored image it cannot be looked up: {error}"
    return InputError(sentence) if isinstance(error, InputError) else Unreachable(sentence)


def choose_pixels(found: PictureGroundings, decoded: DecodedImage | None, context: GroundContext) -> Image.Image:
    """The picture to draw on; of a stored image its file, or its thumbnail. Raises InputError where it has none."""
    if decoded is not None:
        return decoded.pixels
    assert context.regions is not None
    try:
        return decode_image(context.regions.fetch_picture(found.path)).pixels
    except ImageRefused as error:
        raise InputError(f"{found.path}: the stored picture cannot be read ({error}); give its file") from error


def write_files(values: Mapping[str, Any], found: PictureGroundings, pixels: Image.Image) -> None:
    """Write the files that are named; what was written is printed on stderr."""
    for name, build in WRITERS.items():
        if file := values[name]:
            file.write_bytes(build(found, pixels))
            click.echo(escape_line(f"wrote {file}"), err=True)
    numbered = [each.phrase.text for each in found if each.present and not can_draw(each.phrase.text)]
    if values["png"] and numbered:
        click.echo(
            escape_line(f"no font has the letters of {', '.join(numbered)}: in the PNG #1, #2, ... number the phrases"),
            err=True,
        )


def build_coco_file(found: PictureGroundings, pixels: Image.Image) -> bytes:
    size = found.size or pixels.size
    return (json.dumps(build_coco(found, size), ensure_ascii=False, indent=1) + "\n").encode()


def build_page_file(found: PictureGroundings, pixels: Image.Image) -> bytes:
    return "".join(render_page(found, pixels)).encode()


def build_png_file(found: PictureGroundings, pixels: Image.Image) -> bytes:
    return encode_picture(pixels, found)


WRITERS: Mapping[str, Callable[[PictureGroundings, Image.Image], bytes]] = {
    "coco": build_coco_file,
    "png": build_png_file,
    "html": build_page_file,
}


def show(found: PictureGroundings, as_json: bool) -> None:
    if as_json:
        for each in found:
            print_json(to_json(found, each))
        return
    head = ("phrase", f"box ({'x0 y0 x1 y1 in pixels' if found.size else 'x0 y0 x1 y1, 0..1'})", "probability")
    print_table(head, [row for each in found for row in format_rows(each)])


def format_rows(grounding: Grounding) -> list[tuple[str, str, str]]:
    return [(grounding.phrase.text, place, f"{probability:.2f}") for place, probability in list_places(grounding)]


def to_json(found: PictureGroundings, grounding: Grounding) -> dict[str, object]:
    """Every line has the same keys; `boxes` is empty where the phrase is not in the picture."""
    start, end = grounding.phrase.span or (None, None)
    return {
        "path": found.path,
        "phrase": grounding.phrase.text,
        "start": start,
        "end": end,
        "present": grounding.present,
        "probability": grounding.probability,
        "boxes": [describe_box(box) for box in grounding.boxes],
    }


def describe_box(box: PhraseBox) -> dict[str, object]:
    return {
        "box": [round(share, 4) for share in box.box],
        "pixels": [round(value, 1) for value in box.pixels] if box.pixels else None,
        "similarity": box.similarity,
        "probability": box.probability,
    }
