"""Makes scans of PDF pages: rasterised, crooked, noisy, folded, grey or bilevel, and written as image-only PDFs.

Everything random comes from the generator that is given, so the same page gives the same bytes.
"""

from __future__ import annotations

import ctypes
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageFilter

from examples.drawings.sheets import Rectangle, Sheet

DPIS = (100, 100, 120, 120, 150, 150, 200)
MOST_PIXELS = 4_000_000  # larger sheets are scanned as reduced copies, as offices do
MOST_SKEW = 1.5  # degrees
TURNED_SHARE = 0.06  # of the pages lie on their side
BILEVEL_SHARE = 0.35  # of the files
QUALITY = (40, 80)  # of JPEG, of each page anew
NOISE = (0.5, 5.0)  # standard deviation in grey levels, of each page anew: bytes then depend less on the content
NOISE_SIDE = 512  # pixels of the tile of noise that is laid out over a page

Grey = npt.NDArray[np.uint8]  # (height, width), 255 is white
Levels = npt.NDArray[np.int16]  # the same, before it is clipped


@dataclass(frozen=True, slots=True)
class Scanner:
    """What the pages of a file have in common."""

    dpi: int
    bilevel: bool
    paper: int  # its grey level
    blur: float  # pixels


@dataclass(frozen=True, slots=True)
class ScannedPage:
    data: bytes
    bilevel: bool
    width: int  # pixels
    height: int
    dpi: int

    @property
    def points(self) -> tuple[float, float]:
        return self.width * 72 / self.dpi, self.height * 72 / self.dpi


@dataclass(frozen=True, slots=True)
class Pose:
    """How a page lies on the glass."""

    skew: float  # degrees
    turned: bool  # by 90 degrees, counter-clockwise

    def move(self, box: Rectangle, sheet: Sheet) -> tuple[float, float, float, float]:
        """The box around a rectangle of a sheet, as shares of the scan from its upper left corner."""
        angle, centre = math.radians(self.skew), (sheet.width / 2, sheet.height / 2)
        corners = [(x - centre[0], y - centre[1]) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        cos, sin = math.cos(angle), math.sin(angle)
        turned = [(x * cos - y * sin + centre[0], x * sin + y * cos + centre[1]) for x, y in corners]
        shares = [(x / sheet.width, 1 - y / sheet.height) for x, y in turned]
        if self.turned:
            shares = [(y, 1 - x) for x, y in shares]
        xs, ys = zip(*shares, strict=True)
        x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in (min(xs), min(ys), max(xs), max(ys)))
        return x0, y0, x1, y1


def choose_scanner(rng: Random) -> Scanner:
    return Scanner(
        dpi=rng.choice(DPIS),
        bilevel=rng.random() < BILEVEL_SHARE,
        paper=rng.randint(232, 252),
        blur=rng.uniform(0.0, 0.8),
    )


def choose_pose(rng: Random) -> Pose:
    return Pose(skew=rng.uniform(-MOST_SKEW, MOST_SKEW), turned=rng.random() < TURNED_SHARE)


def reduce_sheet(sheet: Sheet, dpi: int) -> float:
    """The scale of the copy that is scanned: 1, or less by steps of an ISO size until its pixels are few enough."""
    scale = 1.0
    while sheet.width * sheet.height * (scale * dpi / 25.4) ** 2 > MOST_PIXELS:
        scale /= math.sqrt(2)
    return scale


def scan_page(
    page: pypdfium2.PdfPage, sheet: Sheet, scanner: Scanner, pose: Pose, behind: Grey | None, rng: Random
) -> tuple[ScannedPage, Grey]:
    """A scan of a page, and the page as it was rendered; `behind` is the page that shines through from the back."""
    clean = render_skewed(page, reduce_sheet(sheet, scanner.dpi) * scanner.dpi / 72, pose.skew)
    image = Image.fromarray(clean)
    if scanner.blur > 0.25:
        image = image.filter(ImageFilter.BoxBlur(scanner.blur))
    if pose.turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
    grey = spoil(np.asarray(image), scanner, behind, rng)
    return encode(Image.fromarray(grey), scanner, rng.randint(*QUALITY)), clean


def render_skewed(page: pypdfium2.PdfPage, scale: float, skew: float) -> Grey:
    """A page on white, `scale` pixels a point, turned about its middle by `skew` degrees counter-clockwise.

    PDFium turns the lines before it draws them, which is faster than to turn pixels, and sharper.
    """
    page_width, page_height = page.get_size()
    width, height = math.ceil(page_width * scale), math.ceil(page_height * scale)
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, pdfium.FPDFBitmap_Gray)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    cos, sin = scale * math.cos(math.radians(skew)), scale * math.sin(math.radians(skew))
    x, y = page_width / 2, page_height / 2
    turn = pdfium.FS_MATRIX(cos, -sin, sin, cos, width / 2 - cos * x - sin * y, height / 2 + sin * x - cos * y)
    clip = pdfium.FS_RECTF(0, 0, width, height)
    flags = pdfium.FPDF_GRAYSCALE | pdfium.FPDF_ANNOT
    pdfium.FPDF_RenderPageBitmapWithMatrix(bitmap, page, ctypes.byref(turn), ctypes.byref(clip), flags)
    return np.array(bitmap.to_numpy(), dtype=np.uint8).reshape(height, width)


def spoil(clean: Grey, scanner: Scanner, behind: Grey | None, rng: Random) -> Grey:
    """Paper, faded ink, the back side, folds, uneven light, noise, dust."""
    height, width = clean.shape
    levels, fade = np.arange(256), rng.uniform(0.0, 45.0)  # fade: the grey level of black ink
    paper = (fade + levels * ((scanner.paper - fade) / 255)).astype(np.int16)[clean]
    if behind is not None and rng.random() < 0.4:
        mirrored = Image.fromarray(behind).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        back = np.asarray(mirrored.resize((width, height), Image.Resampling.NEAREST))
        paper -= ((255 - levels) * rng.uniform(0.03, 0.1)).astype(np.int16)[back]
    paper += np.linspace(rng.uniform(-12, 4), rng.uniform(-12, 4), width).astype(np.int16)[None, :]
    fold(paper, rng)
    add_noise(paper, rng.uniform(*NOISE), rng)
    drop_dust(paper, rng)
    return np.clip(paper, 0, 255, out=paper).astype(np.uint8)


def fold(paper: Levels, rng: Random) -> None:
    """Up to two folds: a dark and a light stripe, in the middle or at thirds."""
    height, width = paper.shape
    for share in rng.sample((1 / 3, 0.5, 2 / 3), rng.choice((0, 0, 1, 2))):
        dark = rng.randint(8, 40)
        if rng.random() < 0.5:
            at = int(height * share)
            paper[at : at + 2] -= dark
            paper[at + 2 : at + 4] += dark // 2
        else:
            at = int(width * share)
            paper[:, at : at + 2] -= dark
            paper[:, at + 2 : at + 4] += dark // 2


@cache
def make_noise_tile() -> npt.NDArray[np.float32]:
    """(NOISE_SIDE, NOISE_SIDE), standard normal, a little correlated as a scanner's is."""
    noise = np.random.default_rng(5).standard_normal((NOISE_SIDE, NOISE_SIDE)).astype(np.float32)
    return np.asarray((noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / math.sqrt(3), np.float32)


def add_noise(paper: Levels, deviation: float, rng: Random) -> None:
    """Lay the tile over the page, begun at a random place of it."""
    tile = np.rint(make_noise_tile() * deviation).astype(np.int16)
    tile = np.roll(tile, (rng.randrange(NOISE_SIDE), rng.randrange(NOISE_SIDE)), (0, 1))
    height, width = paper.shape
    for y in range(0, height, NOISE_SIDE):
        for x in range(0, width, NOISE_SIDE):
            room = paper[y : y + NOISE_SIDE, x : x + NOISE_SIDE]
            room += tile[: room.shape[0], : room.shape[1]]


def drop_dust(paper: Levels, rng: Random) -> None:
    height, width = paper.shape
    for _ in range(rng.randint(0, 40)):
        y, x, size = rng.randrange(height), rng.randrange(width), rng.randint(1, 3)
        paper[y : y + size, x : x + size] = rng.randint(30, 200)


def encode(image: Image.Image, scanner: Scanner, quality: int) -> ScannedPage:
    """JPEG, or the fax code of group 4 for bilevel pages."""
    file = io.BytesIO()
    if scanner.bilevel:
        bits = image.point(lambda level: 255 * (level > 150), "1")
        bits.save(file, "TIFF", compression="group4", tiffinfo={278: image.height})  # 278: one strip holds all rows
        data = read_strip(file.getvalue())
    else:
        image.save(file, "JPEG", quality=quality)
        data = file.getvalue()
    return ScannedPage(data, scanner.bilevel, image.width, image.height, scanner.dpi)


def read_strip(tiff: bytes) -> bytes:
    """The one strip of a TIFF file."""
    with Image.open(io.BytesIO(tiff)) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        (start,), (length,) = tags[273], tags[279]
    return tiff[start : start + length]


def write_image_pdf(pages: Sequence[ScannedPage]) -> bytes:
    """A PDF whose pages are one image each: no fonts, no text, no paths."""
    kids = " ".join(f"{3 + 3 * number} 0 R" for number in range(len(pages)))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()]
    for number, page in enumerate(pages):
        first = 3 + 3 * number
        width, height = page.points
        content = f"q {width:.3f} 0 0 {height:.3f} 0 0 cm /Im Do Q".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.3f} {height:.3f}] /Contents {first + 1} 0 R "
            f"/Resources << /XObject << /Im {first + 2} 0 R >> >> >>".encode()
        )
        objects.append(make_stream("", content))
        objects.append(make_stream(describe_image(page), page.data))
    return join_objects(objects)


def describe_image(page: ScannedPage) -> str:
    size = f"/Width {page.width} /Height {page.height}"
    code = "/BitsPerComponent 8 /Filter /DCTDecode"
    if page.bilevel:
        fax = f"/K -1 /BlackIs1 true /Columns {page.width} /Rows {page.height}"
        code = f"/BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << {fax} >>"
    return f"/Type /XObject /Subtype /Image /ColorSpace /DeviceGray {size} {code}"


def make_stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def join_objects(objects: Sequence[bytes]) -> bytes:
    """A PDF 1.4 file of the objects 1, 2, ...; the first is its catalog."""
    file, offsets = io.BytesIO(), []
    file.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    for number, content in enumerate(objects, 1):
        offsets.append(file.tell())
        file.write(f"{number} 0 obj\n".encode() + content + b"\nendobj\n")
    start = file.tell()
    file.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    file.write(b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets))
    file.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return file.getvalue()
