"""The grounding of the demo: where in a picture the things of a sentence are, as a table and as a picture."""

from pathlib import Path

import click

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.cli.ground_actions import show
from clip_vectorizer.query.grounding.picture import encode_picture
from ingest.demo.output import format_path, measure_time, print_title, quote_word

TITLE = "grounding: where in a picture it is, or that it is not there"
SCENE = Path("scenes") / "scene-01.jpg"  # beside the folder of the examples
SENTENCE = "a red apple and a panda"  # the scene has no panda


def show_grounding(search: ImageSearch, picture: Path, sentence: str, target: Path) -> None:
    """Print the boxes of a sentence's things, and draw them into the PNG file `target`."""
    try:
        with measure_time() as watch:
            found = search.ground(picture, sentence, top=1)
    except SidecarRefused as refusal:  # it may have no grounder
        print_title(TITLE, None)
        click.echo(f"left out: {refusal}")
        return
    command = f"clip-ground {quote_word(format_path(picture))} {quote_word(sentence)} --top 1"
    print_title(TITLE, command, watch)
    show(found, as_json=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encode_picture(decode_image(picture.read_bytes()).pixels, found))
    click.echo(f"The picture with these boxes:\n  {format_path(target)}")
