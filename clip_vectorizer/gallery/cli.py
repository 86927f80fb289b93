"""The command `clip-gallery`: its options, its help."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, Requirement
from clip_vectorizer.common_options import SecretOption, consistency_option, tenant_option
from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.query.cli.connection import service_options

HELP = """Open a search page on a collection in the browser: type, drop a picture, filter, find more like one.

It prints its address and serves until Ctrl-C. An address of the page holds the whole search, so it can be kept and
sent. Without JavaScript it works too.

\b
Examples:
  clip-gallery --open
  clip-gallery --collection Photo --port 9000 --root ~/Pictures
  clip-gallery --collection Photo --collection Drawing
  CLIP_GALLERY_PASSWORD=secret clip-gallery --host 0.0.0.0

\b
Exit codes: 0 ended by Ctrl-C or SIGTERM; 1 fatal; 2 usage
"""
PORT = 8091


RULES = (
    Exclusion("--no-password", ("--password",), "the page would need it after all"),
    Requirement("--no-password", ("--host",), "on this machine alone the page needs none"),
)


@click.command("clip-gallery", cls=ExitCodeCommand, help=HELP, rules=RULES)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    show_default=f"{IMAGE_COLLECTION}, and all others in the page",
    help="Collection to open. Repeatable: the first one opens, and the page shows no others than these.",
)
@tenant_option
@consistency_option
@service_options
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    metavar="PORT",
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder that was ingested: details then show its files, not only thumbnails.",
)
@click.option(
    "--write", is_flag=True, help="Let the page store labels with the images, as `clip-classify --save` does."
)
@click.option(
    "--searches",
    "searches_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="clip-vectorizer/searches.json in ~/.local/share or $XDG_DATA_HOME",
    help="The file of saved searches; `clip-search --saved NAME` reads it too.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which the page may be opened, besides localhost. Repeatable.",
)
@click.option(
    "--password",
    cls=SecretOption,
    envvar="CLIP_GALLERY_PASSWORD",
    metavar="WORD",
    show_envvar=True,
    help="What a browser must send; needed by any --host that is not of this machine alone. "
    "CLIP_GALLERY_PASSWORD_FILE names a file with it.",
)
@click.option(
    "--no-password",
    is_flag=True,
    help="Start on any --host without one: for a container whose port is published on this machine only.",
)
def main(**values: Any) -> None:
    from clip_vectorizer.gallery.serve import run  # imports weaviate-client, which takes a second

    run(values)
