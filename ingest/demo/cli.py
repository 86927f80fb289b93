"""The command `clip-demo`. Each subcommand imports what it needs when it runs: the imports take seconds."""

import os
from pathlib import Path

import click

from clip_vectorizer.cli_common import ExitCodeCommand, ExitCodeGroup, is_given

HELP = """Show the whole system: start Weaviate and a sidecar, ingest the example images, search, classify
and ground.

Weaviate is taken from PATH, else downloaded or built, once. The server and its data stay in ~/.cache/clip-vectorizer
($XDG_CACHE_HOME): a second run starts in seconds and uploads nothing. If WEAVIATE_URL is set, that Weaviate is used,
with the sidecar at VECTORIZER_URL and its model.

\b
Examples:
  clip-demo
  clip-demo --images ~/Pictures/icons
  eval "$(clip-demo up)" && clip-search "a red apple"; clip-demo down
  clip-demo up --gallery
"""

DEFAULT_MODEL = "emoji"


@click.group(cls=ExitCodeGroup, help=HELP, invoke_without_command=True)
@click.option("--model", metavar="NAME", show_default=DEFAULT_MODEL, help="Model that the sidecar serves.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    show_default="examples/images of the checkout",
    help="Folder of images.",
)
@click.pass_context
def main(context: click.Context, model: str | None, images: Path | None) -> None:
    if context.invoked_subcommand is not None:
        refuse_unused_options(context, context.invoked_subcommand)
        return
    from clip_vectorizer.query.display.tables import prepare_streams
    from ingest.demo.places import find_images
    from ingest.demo.show import run_show

    prepare_streams()
    context.exit(run_show(model, find_images(images), os.environ))


def refuse_unused_options(context: click.Context, subcommand: str) -> None:
    """Raises click.UsageError for options before a subcommand that it does not use."""
    unused = [name for name in ("images", "model") if is_given(context, name) and (name, subcommand) != ("model", "up")]
    if unused:
        raise click.UsageError(f"--{unused[0]} has no effect on `clip-demo {subcommand}`; remove it", context)


@main.command(cls=ExitCodeCommand, short_help="Start Weaviate and the sidecar, and a search page.")
@click.option("--model", metavar="NAME", show_default=DEFAULT_MODEL, help="Model that the sidecar serves.")
@click.option(
    "--gallery",
    is_flag=True,
    help="Start the search page of clip-gallery too; its address is printed, and exported as CLIP_GALLERY_URL.",
)
@click.pass_context
def up(context: click.Context, model: str | None, gallery: bool) -> None:
    """Start Weaviate and the sidecar in the background; print the shell lines that point the other commands to them.

    \b
    Examples:
      eval "$(clip-demo up)"
      clip-ingest examples/images
      eval "$(clip-demo up --gallery)"
    """
    before: str | None = context.find_root().params["model"]  # `clip-demo --model M up` is `clip-demo up --model M`
    if model and before:
        raise click.UsageError("--model is given twice; remove the first one", context)
    from clip_vectorizer.progress import StepDisplay
    from ingest.demo import background

    with StepDisplay() as progress:
        endpoints = background.start_background(model or before or DEFAULT_MODEL, progress, os.environ)
    click.echo(endpoints.exports())
    if gallery:
        with StepDisplay() as progress:
            url = background.start_gallery(progress, os.environ)
        click.echo(f"export CLIP_GALLERY_URL={url}")
        click.echo(f"search page: {url}", err=True)


@main.command(cls=ExitCodeCommand)
def down() -> None:
    """Stop what `clip-demo up` started. Its data stays for the next time.

    \b
    Example:
      clip-demo down
    """
    from ingest.demo import background

    state = background.stop_background(os.environ)
    click.echo(
        f"the stack with the model {state.model} is down" if state else "no stack is in the background", err=True
    )


@main.command(cls=ExitCodeCommand, short_help="Print the path of the Weaviate server.")
def weaviate() -> None:
    """Print the path of the Weaviate server; download or build it first if it is missing.

    \b
    Example:
      "$(clip-demo weaviate)" --help
    """
    from clip_vectorizer.progress import StepDisplay
    from ingest.embedded.binary import find_weaviate

    with StepDisplay() as progress:
        path = find_weaviate(progress, os.environ)
    click.echo(path)
