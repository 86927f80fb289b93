"""Writes the contact sheet of `clip-search --html`."""

from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.query.cli.request import STDOUT
from clip_vectorizer.query.hits import Group
from clip_vectorizer.query.showing.contact_sheet import contact_sheet
from clip_vectorizer.query.showing.output import say


def write_sheet(file: Path, question: str, collection: str, sections: Sequence[Group], grouped: bool) -> None:
    """To a file, and says so; or to standard output."""
    count = sum(len(section.hits) for section in sections)
    images = f"{count} image{'s' * (count != 1)}"
    pieces = contact_sheet(question, f"{images} of the collection {collection}, best first", sections, grouped)
    if file == STDOUT:
        for piece in pieces:
            say(piece.encode("utf-8", "backslashreplace"), newline=False)
        return
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace") as opened:
            opened.writelines(pieces)
    except OSError as error:  # a full disk's own words name no file
        raise OSError(error.errno, error.strerror, str(file)) from error
    click.echo(f"{file}: {images}", err=True)
