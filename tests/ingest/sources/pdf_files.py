"""PDF files written by hand: every byte of them is known."""


def pdf(*contents: bytes, media: str = "0 0 200 100", page: str = "", extra: tuple[bytes, ...] = ()) -> bytes:
    """A page of each content stream. `extra` objects are numbered from 3 + 2 * pages; `page` goes into each page."""
    count = len(contents)
    kids = " ".join(f"{3 + 2 * index} 0 R" for index in range(count))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {count}>>".encode()]
    for index, content in enumerate(contents):
        head = f"<</Type/Page/Parent 2 0 R/MediaBox[{media}]/Contents {4 + 2 * index} 0 R/Resources<<>>{page}>>"
        objects += [head.encode(), b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)]
    return written([*objects, *extra])


def written(objects: list[bytes], trailer: bytes = b"") -> bytes:
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        trailer,
        len(out),
    )


def filled(colour: str, x: float, y: float, width: float, height: float) -> bytes:
    """A rectangle, with `colour` as `1 0 0`, measured from the lower left corner in points."""
    return f"{colour} rg {x} {y} {width} {height} re f".encode()
