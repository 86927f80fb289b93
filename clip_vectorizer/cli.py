"""The command `clip-vectorizer`: serve, models, doctor, train, completion."""

import json
import os
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, SpecialCase, Values
from clip_vectorizer.models.listing import NARROW, SORT_NAMES, WIDE, format_listing, list_rows, row_to_json, sort_rows
from clip_vectorizer.models.names import TAIYI
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.server.settings import COLOUR_MODES, LOG_LEVELS, PRECISIONS, Settings, parse_settings
from clip_vectorizer.train_cli import contrastive, linear_probe, serves_no_checkpoint
from clip_vectorizer.training.art_sets import TRAINING_SETS

DEFAULTS = Settings()
SHELLS = ("bash", "zsh", "fish")
URL_STORE = Path("~/.cache/clip")  # where open_clip keeps weights that are not from the hub
COMMANDS = ("clip-vectorizer", "clip-search", "clip-classify", "clip-eval", "clip-ingest", "clip-demo")


def print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"clip-vectorizer {version('clip-vectorizer')}")
        click.echo(f"model store     {find_model_store()}")
        click.echo(f"weaviate-client {version('weaviate-client')}")
        context.exit()


def find_model_store() -> Path:
    """Where Hugging Face's client keeps downloaded weights: its environment variables, in its order."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    hub = Path(os.environ.get("HF_HOME") or home, "hub")
    return Path(os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or hub).expanduser()


class SettingOption(click.Option):
    """An option whose environment variable may have spaces around its value, as in a file of variables."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        return (value.strip() or None) if value else value


@click.group()
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version, the folder of downloaded models and the version of weaviate-client.",
)
def main() -> None:
    """CLIP vectors for Weaviate: texts and images in, unit vectors out.

    \b
    Example:
      clip-vectorizer serve --model emoji

    Shell completion for all commands of this package: `clip-vectorizer completion --help`.
    """
    configure_logging("info")


def variable(name: str) -> dict[str, Any]:
    """How an option reads its environment variable."""
    return {"cls": SettingOption, "envvar": name, "show_envvar": True}


def with_default(name: str, default: Any) -> dict[str, Any]:
    return {"default": default, "show_default": True, **variable(name)}


model_option = click.option(
    "--model",
    metavar="NAME",
    help="Model; `clip-vectorizer models` lists names.",
    **with_default("CLIP_MODEL", DEFAULTS.model),
)
device_option = click.option(
    "--device",
    metavar="NAME",
    show_default=DEFAULTS.device,
    help="cpu, cuda:N, cuda:all, or several separated by commas.",
    **variable("CLIP_DEVICE"),
)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Number format of the weights.",
    **with_default("CLIP_PRECISION", DEFAULTS.precision),
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(0),
    metavar="N",
    help="CPU threads of one pass; 0: as fits the model.",
    **with_default("CLIP_THREADS", DEFAULTS.threads),
)
max_batch_option = click.option(
    "--max-batch",
    type=click.IntRange(1),
    metavar="N",
    help="Items in one pass.",
    **with_default("CLIP_MAX_BATCH", DEFAULTS.limits.max_batch),
)


def serves_no_taiyi(values: Values) -> bool:
    return not str(values["model"]).startswith(TAIYI)


SERVE_RULES = (
    SpecialCase(
        "--architecture", serves_no_checkpoint, "describes a checkpoint file; give its path as --model, or remove it"
    ),
    SpecialCase("--attend-padding", serves_no_taiyi, f"is for Taiyi; give --model {TAIYI}TEXT,IMAGE, or remove it"),
)


@main.command(cls=ExitCodeCommand, rules=SERVE_RULES, short_help="Run the sidecar.")
@model_option
@click.option(
    "--architecture", metavar="NAME", help="open_clip's name for a checkpoint file.", **variable("CLIP_ARCHITECTURE")
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.", **with_default("CLIP_HOST", DEFAULTS.host))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port to listen on; 0 takes a free one.",
    **with_default("CLIP_PORT", DEFAULTS.port),
)
@device_option
@precision_option
@threads_option
@max_batch_option
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="Processes for HTTP and decoding.",
    **with_default("CLIP_PROCESSES", DEFAULTS.processes),
)
@click.option(
    "--colour",
    type=click.Choice(COLOUR_MODES),
    help="srgb converts each image by its profile; raw ignores profiles, as CLIP's own code does.",
    **with_default("CLIP_COLOUR", DEFAULTS.limits.colour),
)
@click.option(
    "--least-decoded",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Share of a damaged image that must be there.",
    **with_default("CLIP_LEAST_DECODED", DEFAULTS.limits.least_decoded),
)
@click.option(
    "--attend-padding",
    type=click.IntRange(0),
    metavar="TOKENS",
    help="Pad Taiyi's shorter texts to so many tokens, without a mask, as its example does; 0: mask all padding.",
    **with_default("CLIP_ATTEND_PADDING", DEFAULTS.attend_padding),
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    help="debug logs one JSON line per request.",
    **with_default("CLIP_LOG_LEVEL", DEFAULTS.log_level),
)
def serve(**options: Any) -> None:
    """Run the sidecar that Weaviate's multi2vec-clip module calls, until SIGTERM or Ctrl-C.

    \b
    Example:
      clip-vectorizer serve --model emoji --port 9090
      curl -s localhost:9090/vectorize -d '{"texts": ["a red apple"]}'

    GET /.well-known/ready returns 204 once the model is loaded. Limits: CLIP_MAX_ITEMS, CLIP_MAX_IMAGES,
    CLIP_MAX_QUEUE, CLIP_MAX_BODY_BYTES, CLIP_MAX_PIXELS and CLIP_DEADLINE_SECONDS. CLIP_BASIC_AUTH=user:password
    requires a password, CLIP_API_KEYS=key1,key2 a bearer key.
    """
    from clip_vectorizer.server.serve import serve as serve_until_signal
    from clip_vectorizer.server.startup import load_configured_encoders

    settings = merge_settings(options)
    configure_logging(settings.log_level)
    serve_until_signal(settings, lambda: load_configured_encoders(settings))


def merge_settings(options: dict[str, Any]) -> Settings:
    """Options win over their variables: `--max-batch 8` stands for CLIP_MAX_BATCH."""
    given = {f"CLIP_{name.upper()}": str(value) for name, value in options.items() if value is not None}
    return parse_settings({**os.environ, **given})


LIST = "list"


class ListByDefault(click.Group):
    """`clip-vectorizer models WORDS` is `clip-vectorizer models list WORDS`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


@main.group(cls=ListByDefault, short_help="List models, or download one to a folder.")
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


@main.command(cls=ExitCodeCommand, short_help="Inspect the machine and measure the model's speed.")
@model_option
@device_option
@precision_option
@threads_option
@max_batch_option
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=2.0,
    metavar="SECONDS",
    show_default=True,
    help="Length of each measurement.",
)
def doctor(seconds: float, **options: Any) -> None:
    """Show what this machine offers, load the model, and measure its speed.

    \b
    Example:
      clip-vectorizer doctor --model emoji
    """
    from clip_vectorizer.models.doctor import DoctorLoad, describe_machine, inspect_machine, measure_encoder
    from clip_vectorizer.server.decode import decode_pixels
    from clip_vectorizer.server.startup import load_configured_encoders

    settings, machine = merge_settings(options), inspect_machine()
    for line in describe_machine(machine):
        click.echo(line)
    encoder, limits = load_configured_encoders(settings)[0], settings.limits
    read = partial(decode_pixels, encoder, settings=limits.decode)
    for line in measure_encoder(machine, encoder, read, DoctorLoad(limits.max_batch, seconds), PRECISIONS):
        click.echo(line)


@main.command(cls=ExitCodeCommand, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes the options of all commands of this package.

    \b
    Example:
      eval "$(clip-vectorizer completion bash)"
      eval "$(clip-vectorizer completion zsh)"
      clip-vectorizer completion fish | source

    Add the line of your shell to ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    for command in COMMANDS:
        click.echo(kind(main, {}, command, f"_{command.replace('-', '_').upper()}_COMPLETE").source())


@main.group()
def train() -> None:
    """Train the models of this project.

    \b
    Example:
      clip-vectorizer train emoji --work ~/emoji --output ~/emoji/model
    """


@train.command(cls=ExitCodeCommand)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Whatever is computed once.",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="The trained model.")
@click.option(
    "--image-steps", type=click.IntRange(1), default=3200, metavar="N", show_default=True, help="Of the image tower."
)
@click.option(
    "--restyled-steps",
    type=click.IntRange(0),
    default=2600,
    metavar="N",
    show_default=True,
    help="Of the image tower after these, on the same drawings restyled at random; 0: none.",
)
@click.option(
    "--text-steps", type=click.IntRange(1), default=2000, metavar="N", show_default=True, help="Of the text tower."
)
@click.option(
    "--without",
    type=click.Choice(TRAINING_SETS),
    multiple=True,
    metavar="ART",
    help=f"Art set to leave out, to measure what it brings; repeatable. One of {', '.join(TRAINING_SETS)}.",
)
def emoji(
    work: Path, output: Path, image_steps: int, restyled_steps: int, text_steps: int, without: tuple[str, ...]
) -> None:
    """Train the bundled model: an image tower on emoji drawings, a text tower on e5's vectors.

    Needs npm, which fetches drawings and word lists, and pip install 'clip-vectorizer[train]'; takes some hours on two
    cores. The defaults are those of the bundled weights.

    The same line continues an interrupted training: what was computed is in --work, with a checkpoint every 100 steps.
    At the end the model is measured on the art set that is held out, by names and by phrases (recall.md).

    \b
    Example:
      clip-vectorizer train emoji --work ~/emoji --output ~/emoji/model
      clip-vectorizer serve --model local-dir:$HOME/emoji/model
    """
    from clip_vectorizer.training.emoji import TrainingPlan, train_emoji
    from clip_vectorizer.training.image_tower import ImageStage, plan_second_part
    from clip_vectorizer.training.text_tower import TextStage

    stages = (ImageStage(image_steps), plan_second_part(restyled_steps), TextStage(text_steps))
    train_emoji(TrainingPlan(work, output, *stages, without))
    click.echo(f"local-dir:{output.resolve()}")


train.add_command(contrastive)
train.add_command(linear_probe)


if __name__ == "__main__":  # ingest.embedded starts the sidecar as a module
    main()
