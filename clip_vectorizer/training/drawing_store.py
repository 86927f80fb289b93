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

from clip_vectorizer.training.drawings import Concept, match_icons, render_icons

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
    """Return the drawings of the art set `name`, from the work folder or rendered into it. `styles`: keys of STYLES."""
    file = work / f"drawings-{name}-{size}.npz"
    if not file.exists():
        render_art_set(file, packages, concepts, name, styles, size)
    with np.load(file, allow_pickle=False) as stored:
        pixels = {style: torch.from_numpy(stored[style]).permute(0, 3, 1, 2).contiguous() for style in styles}
        return ArtSet(name, torch.from_numpy(stored["owners"]), pixels)


def render_art_set(
    file: Path, packages: Path, concepts: Sequence[Concept], name: str, styles: Sequence[str], size: int
) -> None:
    icons = match_icons(packages, name, concepts)
    log.info("rendering %s: %d drawings in %d styles", name, len(icons), len(styles))
    pictures = {style: render_icons(packages, name, list(icons.values()), size, style) for style in styles}
    draft = file.with_suffix(".draft.npz")
    np.savez(draft, allow_pickle=False, owners=np.array(list(icons), dtype=np.int64), **pictures)
    draft.replace(file)
