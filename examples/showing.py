"""Shared by the notebooks: the connection, ingesting images, and results as pictures."""

import base64
import html
import io
import json
import os
import subprocess
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import Hit, ImageSearch

EXAMPLES = Path(__file__).parent
SIDE = 56  # pixels of a picture in a sheet
FIGURE = 'style="display:inline-block;width:7em;margin:.3em;text-align:center;font-size:.75em;vertical-align:top"'
CELL = 'style="text-align:left"'


def bring_in(folder: str | Path, collection: str, *options: str) -> str:
    """Run `clip-ingest FOLDER --collection COLLECTION`, which skips stored images; return a summary."""
    command = [Path(sysconfig.get_path("scripts")) / "clip-ingest", EXAMPLES / folder, "--collection", collection]
    done = subprocess.run([*command, *options, "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    summary = json.loads(done.stdout)
    return f"{summary['added'] + summary['updated'] + summary['unchanged']} images are in {collection}"


def connect(collection: str) -> ImageSearch:
    """Connect to the servers of the environment, as set by `eval "$(clip-demo up)"`."""
    return ImageSearch.connect(
        weaviate_url=os.environ.get("WEAVIATE_URL", "http://localhost:8080"),
        grpc_port=int(os.environ.get("WEAVIATE_GRPC_PORT", "50051")),
        api_key=os.environ.get("WEAVIATE_API_KEY"),
        vectorizer_url=os.environ.get("VECTORIZER_URL", "http://localhost:9090"),
        collection=collection,
    )


def sidecar() -> VectorizerClient:
    """The model itself: texts and images in, vectors out."""
    return VectorizerClient(os.environ.get("VECTORIZER_URL", "http://localhost:9090"))


class Sheet:
    """Pictures with a line below each, in rows with a title. Shows itself in a notebook."""

    def __init__(self, rows: Mapping[str, Sequence[tuple[Path, str]]]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return "\n".join(f"{title}: {', '.join(line for _, line in row)}" for title, row in self.rows.items())

    def _repr_html_(self) -> str:
        return "".join(f"<div><b>{html.escape(title)}</b><br>{figures(row)}</div>" for title, row in self.rows.items())


def figures(row: Iterable[tuple[Path, str]]) -> str:
    return "".join(f"<span {FIGURE}>{shrink_image(file)}<br>{html.escape(line)}</span>" for file, line in row)


def sheet(found: Mapping[str, Sequence[Hit]], folder: str = "images") -> Sheet:
    """Return one row per title: its hits with their similarities."""
    return Sheet({title: [format_message(hit, EXAMPLES / folder) for hit in hits] for title, hits in found.items()})


def format_message(hit: Hit, folder: Path) -> tuple[Path, str]:
    return folder / hit.path, f"{Path(hit.path).stem} {hit.similarity:.2f}"


def shrink_image(file: Path) -> str:
    """Return the picture as an <img> with inline data."""
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    white.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    white.convert("RGB").quantize(32).save(out, "PNG", optimize=True)
    return f'<img src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'


class Figure:
    """A picture of its own size, or `width` pixels wide. Shows itself in a notebook."""

    def __init__(self, picture: Image.Image, width: int) -> None:
        self.picture = picture.resize((width, picture.height * width // picture.width))

    def __repr__(self) -> str:
        return "a picture, {} x {}".format(*self.picture.size)

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.picture.convert("RGB").quantize(128).save(out, "PNG", optimize=True)
        return out.getvalue()


class Table:
    """Rows of cells under a heading; a Path is shown as its picture."""

    def __init__(self, heading: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self.heading, self.rows = heading, rows

    def __repr__(self) -> str:
        return "\n".join(" | ".join(map(format_plain, row)) for row in [self.heading, *self.rows])

    def _repr_html_(self) -> str:
        lines = [format_line("th", self.heading), *(format_line("td", row) for row in self.rows)]
        return f"<table>{''.join(lines)}</table>"


def format_line(tag: str, cells: Sequence[object]) -> str:
    return "<tr>" + "".join(f"<{tag} {CELL}>{format_cell(one)}</{tag}>" for one in cells) + "</tr>"


def format_cell(content: object) -> str:
    return shrink_image(content) if isinstance(content, Path) else html.escape(format_plain(content))


def format_plain(content: object) -> str:
    if isinstance(content, Path):
        return content.stem
    return f"{content:.3f}" if isinstance(content, float) else str(content)
