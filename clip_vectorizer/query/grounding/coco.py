"""Groundings as COCO detection JSON: images, categories (the phrases), annotations with scores."""

from typing import Any

from clip_vectorizer.query.grounding.groundings import PhraseBox, PictureGroundings


def build_coco(found: PictureGroundings, size: tuple[int, int]) -> dict[str, Any]:
    """`size`: width and height in pixels, which a COCO box needs. Ids begin at 1, as COCO's own.

    Equal phrases are one category.
    """
    names = list(dict.fromkeys(each.phrase.text for each in found))
    boxes = [(names.index(each.phrase.text) + 1, box) for each in found for box in each.boxes]
    return {
        "images": [{"id": 1, "file_name": found.path, "width": size[0], "height": size[1]}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": [build_annotation(number, *pair, size) for number, pair in enumerate(boxes, 1)],
    }


def build_annotation(number: int, category: int, box: PhraseBox, size: tuple[int, int]) -> dict[str, Any]:
    left, top, right, bottom = (round(share * side, 2) for share, side in zip(box.box, size * 2, strict=True))
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "score": round(box.probability, 6),
    }
