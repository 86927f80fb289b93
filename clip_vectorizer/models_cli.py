"""The commands `clip-vectorizer models list` and `clip-vectorizer models download`."""

import json
import os
from pathlib import Path

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand
from clip_vectorizer.models.listing import NARROW, SORT_NAMES, WIDE, format_listing, list_rows, row_to_json, sort_rows

URL_STORE = Path("~/.cache/clip")  # where open_clip keeps weights that are not from the hub
LIST = "list"


class ListByDefault(click.Group):
    """`clip-vectorizer models WORDS` is `clip-vectorizer models list WORDS`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault, short_help="List models, or download one to a folder.")
def models() -> None:
    """List the models that --model takes, or download one.

    \b
    Example:
      clip-vectorizer models vit-b-32 laion
      clip-vectorizer models --sort top1 --wide
      clip-vectorizer models download ViT-B-32::openai --to /models/vit-b-32

    Without the name of a command, `clip-vectorizer models ...` is `clip-vectorizer models list ...`.
    """


LIST_RULES = (Exclusion("--wide", ("--json",), "JSON has all columns"),)


@models.command(LIST, cls=ExitCodeCommand, rules=LIST_RULES, short_help="Show size, cost, accuracy and licence.")
@click.argument("words", nargs=-1)
@click.option("--sort", type=click.Choice(SORT_NAMES), metavar="COLUMN", help=f"One of {', '.join(SORT_NAMES)}.")
@click.option("--wide", is_flag=True, help="All columns, also beyond 80 characters.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all columns.")
@click.option("--random", is_flag=True, help="Architectures with random weights instead, for load tests.")
def list_models(words: tuple[str, ...], sort: str | None, wide: bool, as_json: bool, random: bool) -> None:
    """List the models that --model takes, or those whose names contain all WORDS.

    \b
    Example:
      clip-vectorizer models list vit-b-32 laion
      clip-vectorizer models list --sort top1 --wide
      clip-vectorizer models list siglip2 --json

    M: millions of parameters. GFLOP: of one image and one text. px: side of the image. top-1: published accuracy on
    ImageNet without training, in per cent. A star marks what is on this machine.

    OpenAI's spellings work too: RN50x4, ViT-B/32, ViT-L/14@336px. So do hf-hub:ORG/NAME, local-dir:PATH and the path
    of a checkpoint (with --architecture).
    """
    rows = list_rows(words, find_model_store(), URL_STORE.expanduser(), random)
    rows = sort_rows(rows, sort) if sort else rows
    if as_json:
        for row in rows:
            click.echo(json.dumps(row_to_json(row), ensure_ascii=False))
        return
    for line in format_listing(rows, WIDE if wide else NARROW):
        click.echo(line)
    if not rows:
        click.echo(f"no model has {' and '.join(words)} in its name", err=True)


@models.command(cls=ExitCodeCommand, short_help="Download a model to a folder.")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of this model alone; created.",
)
def download(name: str, folder: Path) -> None:
    """Download the model NAME to a folder, for machines without a hub. Prints the name under which it is served.

    \b
    Example:
      clip-vectorizer models download ViT-B-32::openai --to /models/vit-b-32
      clip-vectorizer models download hf-hub:ORG/NAME --to /models/name
      clip-vectorizer serve --model local-dir:/models/vit-b-32

    Every file is compared with its published hash. A run that was interrupted goes on where it ended when it is
    repeated. Of a file with code in it nothing is run.

    HF_ENDPOINT names another hub, HF_TOKEN is sent to it, and with HF_HUB_OFFLINE=1 files come from the hub's cache.
    """
    from clip_vectorizer.models.download import download_model
    from clip_vectorizer.models.download_display import DownloadDisplay

    folder = folder.expanduser().resolve()
    with DownloadDisplay() as report:
        download_model(name, folder, report)
    click.echo(f"local-dir:{folder}")


def find_model_store() -> Path:
    """Where Hugging Face's client keeps downloaded weights: its environment variables, in its order."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    hub = Path(os.environ.get("HF_HOME") or home, "hub")
    return Path(os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or hub).expanduser()
