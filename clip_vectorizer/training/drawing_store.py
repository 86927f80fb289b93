"""Drawings of all art sets in memory, rendered once into a work folder.

M drawings · H drawing size · B batch
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.training.drawings import Concept, DrawingPixels, match_icons, render_icons

DRAWING_SIZE = 80  # more than the model's input, for views that zoom in

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArtSet:
    """One artist's drawings: `owners` has the index of each drawing's concept, `styles` (M, 4, H, H) uint8 RGBA."""

    name: str
    owners_m: Tensor
    styles: dict[str, Tensor]


def load_art_set(
    work: Path, packages: Path, concepts: Sequence[Concept], name: str, styles: Sequence[str], size: int = DRAWING_SIZE
) -> ArtSet:
    """Return the drawings of the art set `name`, each style from the work folder or rendered into it."""
    owners, files = store_art_set(work, packages, concepts, name, styles, size)

    def load_style(file: Path) -> Tensor:
        return torch.from_numpy(np.load(file, allow_pickle=False)).permute(0, 3, 1, 2).contiguous()

    return ArtSet(name, torch.tensor(owners), {style: load_style(file) for style, file in files.items()})


def store_art_set(
    work: Path, packages: Path, concepts: Sequence[Concept], name: str, styles: Sequence[str], size: int = DRAWING_SIZE
) -> tuple[list[int], dict[str, Path]]:
    """Return the concept of each drawing of the art set `name`, and the file of each style, rendered if it is missing.

    A file has (M, H, H, 4) uint8 RGBA in numpy's format, so that it can be mapped into memory.
    """
    icons = match_icons(packages, name, concepts)
    coloured = {icon for index, icon in icons.items() if concepts[index].means_a_colour}

    def store_style(style: str) -> Path:
        file = work / f"drawings-{name}-{style}-{size}.npy"
        if not file.exists():
            log.info("rendering %s: %d drawings, %s", name, len(icons), style)
            save_pixels(file, render_icons(packages, name, list(icons.values()), size, style, coloured))
        return file

    return list(icons), {style: store_style(style) for style in styles}


def save_pixels(file: Path, pixels_nhh4: DrawingPixels) -> None:
    """Replace the file at once."""
    draft = file.with_suffix(".draft.npy")
    np.save(draft, pixels_nhh4, allow_pickle=False)
    draft.replace(file)
