"""A page with a part: frame, title block, views at a standard scale beside it, notes, parts list, projection symbol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from examples.drawings import parts, parts_apart, parts_turned
from examples.drawings.blocks import LABELS, BlockTexts, draw_block, draw_frame, draw_table, place_block, write_texts
from examples.drawings.names import make_date, make_number, make_word
from examples.drawings.organisations import ORGANISATIONS, Organisation
from examples.drawings.parts import Part
from examples.drawings.sheets import CENTRE, NARROW, Point, Rectangle, SheetPen, measure_text
from examples.drawings.view_pen import BALLOON_HEIGHT, BALLOON_RADIUS, ViewPen
from examples.drawings.views import Side, View

SCALES = (20, 10, 5, 4, 2.5, 2, 1.5, 1, 1 / 1.5, 1 / 2, 1 / 2.5, 1 / 4, 1 / 5, 1 / 8, 1 / 10, 1 / 15, 1 / 20, 1 / 50)
GAP = 8.0  # mm between two views with all that is beside them
ROW_HEIGHT = 6.0  # mm, of a parts list
FAMILIES: Mapping[str, Callable[[Random], Part]] = {
    "plate": parts.make_plate,
    "shaft": parts_turned.make_shaft,
    "flange": parts_turned.make_flange,
    "bracket": parts.make_bracket,
    "gear": parts_turned.make_gear,
    "housing": parts.make_housing,
    "sheet metal": parts.make_sheet_metal,
    "assembly": parts_turned.make_assembly,
}
FAMILIES_APART: Mapping[str, Callable[[Random], Part]] = {
    "spring": parts_apart.make_spring,
    "lever": parts_apart.make_lever,
    "pulley": parts_apart.make_pulley,
}
NOUNS = {
    "plate": ("Plate", "Platte", "Plaque"),
    "shaft": ("Shaft", "Welle", "Arbre"),
    "flange": ("Flange", "Flansch", "Bride"),
    "bracket": ("Bracket", "Winkel", "Équerre"),
    "gear": ("Spur gear", "Stirnrad", "Pignon"),
    "housing": ("Bearing block", "Lagerbock", "Palier"),
    "sheet metal": ("Sheet panel", "Blechteil", "Tôle pliée"),
    "assembly": ("Spindle unit", "Lagereinheit", "Broche"),
    "spring": ("Spring", "Druckfeder", "Ressort"),
    "lever": ("Lever", "Hebel", "Levier"),
    "pulley": ("Pulley", "Riemenscheibe", "Poulie"),
    "bearing": ("Bearing", "Lager", "Roulement"),
    "cover": ("Cover", "Deckel", "Couvercle"),
    "screw": ("Screw", "Schraube", "Vis"),
}
NOTES = {
    "en": (
        "All dimensions in mm.",
        "Break sharp edges 0.3 x 45°.",
        "Do not scale.",
        "Remove burrs.",
        "Third party rights reserved.",
    ),
    "de": ("Alle Maße in mm.", "Kanten gebrochen 0,3 x 45°.", "Schutzvermerk ISO 16016 beachten.", "Gratfrei."),
    "fr": ("Cotes en mm.", "Casser les angles 0,3 x 45°.", "Ne pas mesurer sur le plan.", "Ébavurer."),
}
LANGUAGE_ORDER = ("en", "de", "fr")


@dataclass(frozen=True, slots=True)
class PlacedViews:
    scale: float
    origins: Mapping[tuple[int, int], Point]
    areas: tuple[Rectangle, ...]  # with what is beside the views


def name_part(family: str, language: str) -> str:
    return NOUNS[family][LANGUAGE_ORDER.index(language)]


def draw_part_page(pen: SheetPen, organisation: Organisation, family: str, rng: Random) -> tuple[Rectangle, BlockTexts]:
    """Draw a page and return where its title block is and what it says."""
    part = {**FAMILIES, **FAMILIES_APART}[family](rng)
    inside = draw_frame(pen, organisation)
    block = place_block(organisation, inside)
    taken = reserve_block(organisation, part, block)
    placed = place_views(organisation, part, inside, taken, pen.zoom)
    for key, view in part.views.items():
        ViewPen(pen, organisation, view, placed.origins[key], placed.scale / pen.zoom).draw()
    texts = write_texts(
        organisation, name_part(family, organisation.language), format_scale(placed.scale), pen.sheet, rng
    )
    draw_block(pen, organisation, texts, block)
    draw_above_block(pen, organisation, part, block, rng)
    draw_beside(pen, organisation, part, inside, [taken, *placed.areas], rng)
    return block, texts


def format_scale(scale: float) -> str:
    return f"{scale:g}:1" if scale >= 1 else f"1:{round(1 / scale, 2):g}"


def reserve_block(organisation: Organisation, part: Part, block: Rectangle) -> Rectangle:
    """The block with the parts list or the table of changes above it."""
    rows = len(part.items) + 1 if part.items else 4 if organisation.revisions else 0
    return Rectangle(block.x0 - 3, block.y0, block.x1, block.y1 + rows * ROW_HEIGHT + 3)


def place_views(
    organisation: Organisation, part: Part, inside: Rectangle, taken: Rectangle, zoom: float
) -> PlacedViews:
    """The largest standard scale at which all views are inside the frame and off the block."""
    above = Rectangle(inside.x0, taken.y1, inside.x1, inside.y1)
    beside = Rectangle(inside.x0, inside.y0, taken.x0, inside.y1)
    for scale in (*SCALES, *(SCALES[-1] / 2**step for step in range(1, 12))):
        for room in (inside, above, beside):
            placed = try_scale(organisation, part, room.grow(-2), scale / zoom)
            if placed and not any(area.overlaps(taken) for area in placed.areas):
                return replace(placed, scale=scale)
    raise ValueError(f"no scale at which the views fit beside the title block of {organisation.name}")


def try_scale(organisation: Organisation, part: Part, room: Rectangle, scale: float) -> PlacedViews | None:
    """Views in rows and columns that share their origins' lines, as projections do; None where they do not fit."""
    spans = {key: measure_view(organisation, view, scale) for key, view in part.views.items()}
    columns = stack_spans([[spans[key] for key in spans if key[1] == column] for column in (0, 1)], 0)
    order = (0, 1) if organisation.first_angle or len(part.views) < 3 else (1, 0)  # from the top
    rows = stack_spans([[spans[key] for key in spans if key[0] == row] for row in reversed(order)], 1)
    width, height = columns[-1], rows[-1]
    if width > room.width or height > room.height:
        return None
    left, bottom = room.x0 + (room.width - width) / 2, room.y0 + (room.height - height) / 2
    rows_by_number = dict(zip(reversed(order), rows[:-1], strict=True))
    origins = {key: (left + columns[key[1]], bottom + rows_by_number[key[0]]) for key in spans}
    areas = tuple(
        Rectangle(
            origins[key][0] + span.x0, origins[key][1] + span.y0, origins[key][0] + span.x1, origins[key][1] + span.y1
        )
        for key, span in spans.items()
    )
    return PlacedViews(scale, origins, areas)


def measure_view(organisation: Organisation, view: View, scale: float) -> Rectangle:
    """A view on paper around its origin, with all that is beside it."""
    bounds, size = view.bounds, organisation.text_size
    shelf = max((measure_text(each.text, size, organisation.font) for each in view.leaders), default=0.0)
    room = view.margins(size, shelf)
    if view.balloons:
        room["top"] = max(room["top"], BALLOON_HEIGHT + BALLOON_RADIUS + 2)
    sides: tuple[Side, ...] = ("left", "bottom", "right", "top")
    left, bottom, right, top = (room[side] for side in sides)
    x0, y0, x1, y1 = (value * scale for value in (bounds.x0, bounds.y0, bounds.x1, bounds.y1))
    return Rectangle(x0 - left, y0 - bottom, x1 + right, y1 + top)


def stack_spans(groups: list[list[Rectangle]], axis: int) -> list[float]:
    """The origin of each group along an axis, one after the other, and at last the length of all."""
    end, origins = 0.0, []
    for group in groups:
        low = min(((span.x0, span.y0)[axis] for span in group), default=0.0)
        high = max(((span.x1, span.y1)[axis] for span in group), default=0.0)
        start = end + GAP if end and group else end
        origins.append(start - low)
        end = start + high - low
    return [*origins, end]


def draw_above_block(pen: SheetPen, organisation: Organisation, part: Part, block: Rectangle, rng: Random) -> None:
    words, share = LABELS[organisation.language], organisation.index
    if part.items:
        rows = [(words["item"], words["quantity"], words["part"], words["number"])]
        for item, (noun, quantity) in enumerate(part.items, 1):
            number = make_number(rng, organisation.numbers)
            rows.append((str(item), str(quantity), name_part(noun, organisation.language), number))
        draw_rows_above(pen, organisation, block, rows, (1, 1, 5, 4))
    elif organisation.revisions:
        rows = [("", words["change"], words["date"], words["drawn"])]
        for letter in "AB":
            date = make_date(rng, share, ORGANISATIONS).strftime(organisation.dates)
            rows.append((letter, make_word(rng, 3), date, rng.choice(organisation.people)))
        draw_rows_above(pen, organisation, block, [*rows, ("", "", "", "")], (1, 6, 3, 3))


def draw_rows_above(
    pen: SheetPen,
    organisation: Organisation,
    block: Rectangle,
    rows: list[tuple[str, str, str, str]],
    widths: tuple[int, ...],
) -> None:
    area = Rectangle(block.x0, block.y1, block.x1, block.y1 + ROW_HEIGHT * len(rows))
    draw_table(pen, area, rows, widths, organisation.font, organisation.inner_line)


def draw_beside(
    pen: SheetPen, organisation: Organisation, part: Part, inside: Rectangle, taken: list[Rectangle], rng: Random
) -> None:
    """Data, notes and the symbol of the projection, each where there is room; left out where there is none."""
    if part.data and (area := find_room(inside, taken, 52, len(part.data) * 6, rng)):
        draw_table(pen, area, list(reversed(part.data)), (2, 3), organisation.font, NARROW)
        taken.append(area)
    notes = rng.sample(NOTES[organisation.language], rng.randint(1, 3))
    width = max(measure_text(note, 3.2, organisation.font) for note in notes) + 2
    if area := find_room(inside, taken, width, len(notes) * 5.2, rng):
        for number, note in enumerate(notes):
            pen.text((area.x0, area.y1 - 4 - number * 5.2), note, 3.2, organisation.font)
        taken.append(area)
    if area := find_room(inside, taken, 26, 12, None):
        draw_projection_symbol(pen, area, organisation.first_angle)


def find_room(
    inside: Rectangle, taken: list[Rectangle], width: float, height: float, rng: Random | None
) -> Rectangle | None:
    """A free place along the lower or the upper edge: any of them, or without `rng` the first beside the block."""
    places = list(list_places(inside.grow(-4), width, height))
    if rng:
        rng.shuffle(places)
    for area in places:
        if inside.contains(area) and not any(area.grow(3).overlaps(other) for other in taken):
            return area
    return None


def list_places(room: Rectangle, width: float, height: float) -> Iterator[Rectangle]:
    for y in (room.y0, room.y1 - height):
        for share in (1.0, 0.8, 0.65, 0.5, 0.35, 0.2, 0.0):
            x = room.x0 + (room.width - width) * share
            yield Rectangle(x, y, x + width, y + height)


def draw_projection_symbol(pen: SheetPen, area: Rectangle, first_angle: bool) -> None:
    """A cone from the side and its end, ISO 5456-2: the end is at the right in first-angle projection."""
    y = area.centre[1]
    cone, end = (area.x0 + 6, area.x0 + 18) if first_angle else (area.x0 + 18, area.x0 + 6)
    half = (3.0, 5.0) if first_angle else (5.0, 3.0)
    pen.path(
        [(cone - 5, y - half[1]), (cone + 5, y - half[0]), (cone + 5, y + half[0]), (cone - 5, y + half[1])],
        0.35,
        closed=True,
    )
    for radius in (3.0, 5.0):
        pen.circle((end, y), radius, 0.35)
    pen.line((area.x0 - 1, y), (area.x0 + 25, y), NARROW, CENTRE)
    pen.line((end, y - 6), (end, y + 6), NARROW, CENTRE)
