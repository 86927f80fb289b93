"""`clip-demo`: parse, call, print.

What each command needs is imported when it runs: the imports take seconds on a busy machine, and a Ctrl-C in them must
end like any other.
"""

import os
from pathlib import Path

import click

from clip_vectorizer.cli_common import ExitCodeCommand

HELP = """The whole system at work: starts Weaviate and a sidecar, ingests the example images, searches and classifies.

Weaviate is taken from PATH, downloaded or built, once. Server and data stay in ~/.cache/clip-vectorizer
($XDG_CACHE_HOME), so that a second run starts in seconds and uploads nothing. With WEAVIATE_URL set, that Weaviate is
used as it is, with the sidecar at VECTORIZER_URL.

\b
Examples:
  clip-demo
  clip-demo --images ~/Pictures/icons
  eval "$(clip-demo up)" && clip-search "a red apple"; clip-demo down
"""

model_option = click.option("--model", default="emoji", show_default=True, help="What the sidecar serves.")


class ExitCodeGroup(ExitCodeCommand, click.Group):
    """Subcommands with our exit codes."""


@click.group(cls=ExitCodeGroup, help=HELP, invoke_without_command=True)
@model_option
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of images.  [default: examples/images of the checkout]",
)
@click.pass_context
def main(context: click.Context, model: str, images: Path | None) -> None:
    if context.invoked_subcommand is None:
        from clip_vectorizer.query.display.tables import prepare_streams
        from ingest.demo.places import find_images
        from ingest.demo.show import run_show

        prepare_streams()
        context.exit(run_show(model, find_images(images), os.environ))


@main.command(cls=ExitCodeCommand)
@click.option("--model", help="What the sidecar serves.  [default: emoji]")
@click.pass_context
def up(context: click.Context, model: str | None) -> None:
    """Start Weaviate and the sidecar in the background; print the shell lines that point the other commands there.

    \b
    Example:
      eval "$(clip-demo up)"
      clip-ingest examples/images
    """
    from clip_vectorizer.progress import open_step_progress
    from ingest.demo import background

    with open_step_progress() as progress:
        endpoints = background.start_background(model or group_option(context, "model"), progress, os.environ)
    click.echo(endpoints.exports())


def group_option(context: click.Context, name: str) -> str:
    """`clip-demo --model M up` means the same as `clip-demo up --model M`."""
    value: str = context.find_root().params[name]
    return value


@main.command(cls=ExitCodeCommand)
def down() -> None:
    """End what `clip-demo up` started. Its data stays for the next time.

    \b
    Example:
      clip-demo down
    """
    from ingest.demo import background

    state = background.stop_background(os.environ)
    click.echo(
        f"the stack with the model {state.model} is down" if state else "no stack is in the background", err=True
    )


@main.command(cls=ExitCodeCommand)
def weaviate() -> None:
    """Print the path of the Weaviate server; download or build it first if it is not there.

    \b
    Example:
      "$(clip-demo weaviate)" --help
    """
    from clip_vectorizer.progress import open_step_progress
    from ingest.embedded.binary import find_weaviate

    with open_step_progress() as progress:
        path = find_weaviate(progress, os.environ)
    click.echo(path)
