"""Regions cut out of a picture: crops as files for the sidecar, and the rules in corners."""

import io
from dataclasses import replace

from PIL import Image

from clip_vectorizer.boxes import place
from clip_vectorizer.images.line_grid import measure_line_grid
from clip_vectorizer.region_crops import cut_region
from ingest.items import RegionCrop
from ingest.page_pixels import PagePixels, reduce_picture, settle_mode
from ingest.region_boxes import PlacedBox, PlacedBoxes, place_corners
from ingest.region_methods import RegionMethod

CROP_SIDE = 1024  # pixels; several times the input of any model
MAX_PNG_PIXELS = 512 * 512  # crops are without loss up to here
JPEG_QUALITY = 95


def cut_page_corners(page: PagePixels, method: RegionMethod) -> tuple[RegionCrop, ...]:
    """Return the corners of a page, which are known without the sidecar, so that its pixels need not be kept."""
    picture = page.picture
    placed = add_line_grids(place_corners(method), picture)
    crops = [reduce_picture(cut_region(picture, each.box), CROP_SIDE) for each in placed.boxes]
    pairs = zip(placed.boxes, crops, strict=True)
    return tuple(RegionCrop(each.box, encode_crop(crop), each.corner, each.line_grid) for each, crop in pairs)


def place_crops(crops: tuple[RegionCrop, ...]) -> PlacedBoxes:
    return PlacedBoxes(tuple(PlacedBox(each.box, corner=each.corner, line_grid=each.line_grid) for each in crops))


def add_line_grids(placed: PlacedBoxes, picture: Image.Image) -> PlacedBoxes:
    """Return the corners of a picture with where their rules are."""
    grids = [measure_line_grid(picture.crop(place(each.box, *picture.size)), each.corner) for each in placed.boxes]
    pairs = zip(placed.boxes, grids, strict=True)
    return replace(placed, boxes=tuple(replace(box, line_grid=grid.to_text()) for box, grid in pairs))


def encode_crop(crop: Image.Image) -> bytes:
    if max(crop.size) > CROP_SIDE:
        crop.thumbnail((CROP_SIDE, CROP_SIDE))
    crop = settle_mode(crop)
    crop.info.clear()
    file = io.BytesIO()
    if crop.width * crop.height <= MAX_PNG_PIXELS:
        crop.save(file, "PNG", compress_level=1)
    else:
        crop.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
