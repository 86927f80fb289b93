"""How pictures are drawn: matplotlib loaded late and without a screen, letters that its fonts have, PNG files."""

import io
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from clip_vectorizer.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
HAN_FONTS = (  # of Linux, macOS and Windows; any of them has what Chinese needs
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei"),
    *("PingFang SC", "Heiti SC", "Microsoft YaHei", "SimHei", "Droid Sans Fallback", "Arial Unicode MS"),
)


def prepare() -> None:
    """Raises InputError that names what to install."""
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(
            "--report draws with matplotlib, which is not installed; pip install 'clip-vectorizer[eval]'"
        ) from error
    matplotlib.use("Agg")
    fonts = [font for font in HAN_FONTS if font in installed_fonts()]
    matplotlib.rcParams["font.sans-serif"] = [*fonts, "DejaVu Sans"] if fonts else ["DejaVu Sans"]


def installed_fonts() -> set[str]:
    from matplotlib import font_manager

    return {font.name for font in font_manager.fontManager.ttflist}


def readable(names: Sequence[str], fonts: Set[str] | None = None) -> list[str]:
    """Names that the fonts have letters for; others become `class 3`, never boxes. `fonts` None: those installed."""
    if (installed_fonts() if fonts is None else fonts) & set(HAN_FONTS):
        return list(names)
    return [name if drawable(name) else f"class {number}" for number, name in enumerate(names, start=1)]


def drawable(text: str) -> bool:
    """Whether DejaVu Sans, which comes with matplotlib, has all of its characters."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    known = FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return all(ord(character) in known for character in text)


def figure(wide: float, high: float) -> "tuple[Figure, Axes]":
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(figsize=(wide, high), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawing, axes


def png(drawing: "Figure") -> bytes:
    from matplotlib import pyplot

    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=DPI)
    pyplot.close(drawing)
    return file.getvalue()
