"""The command `clip-vectorizer`: serve, models, doctor, train, completion."""

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from clip_vectorizer.cli_common import ExitCodeCommand, SpecialCase
from clip_vectorizer.common_options import serves_no_checkpoint
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.server.settings import COLOUR_MODES, LOG_LEVELS, PRECISIONS, Settings, parse_settings
from clip_vectorizer.train_cli import contrastive, linear_probe

DEFAULTS = Settings()
SHELLS = ("bash", "zsh", "fish")
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


SERVE_RULES = (
    SpecialCase(
        "--architecture", serves_no_checkpoint, "describes a checkpoint file; give its path as --model, or remove it"
    ),
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


@main.command(cls=ExitCodeCommand, short_help="List model names.")
@click.argument("words", nargs=-1)
def models(words: tuple[str, ...]) -> None:
    """List the names that --model takes, or those that contain all WORDS.

    \b
    Example:
      clip-vectorizer models vit-b-32 laion

    ARCHITECTURE::random serves random weights, for load tests. hf-hub:ORG/NAME, local-dir:PATH and the path of a
    checkpoint (with --architecture) are accepted too.
    """
    from clip_vectorizer.models.names import list_served_names

    for name in list_served_names():
        if all(word.lower() in name.lower() for word in words):
            click.echo(name)


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
    "--work", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Packages, drawings, stages."
)
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="The trained model.")
@click.option(
    "--teacher-steps", type=click.IntRange(1), default=2800, metavar="N", show_default=True, help="Steps of stage 1."
)
@click.option(
    "--student-steps", type=click.IntRange(1), default=1800, metavar="N", show_default=True, help="Steps of stage 2."
)
def emoji(work: Path, output: Path, teacher_steps: int, student_steps: int) -> None:
    """Train the bundled model on emoji drawings; needs npm and about two hours on two cores.

    The defaults are those of the bundled weights. A finished stage stays in the work folder and is not repeated; at the
    end both stages are measured on the art set that is held out, by names and by phrases (recall.md).

    \b
    Example:
      clip-vectorizer train emoji --work ~/emoji --output ~/emoji/model
      clip-vectorizer serve --model local-dir:$HOME/emoji/model
    """
    from clip_vectorizer.training.emoji import plan_training, train_emoji

    train_emoji(plan_training(work, output, teacher_steps, student_steps))


train.add_command(contrastive)
train.add_command(linear_probe)


if __name__ == "__main__":  # ingest.embedded starts the sidecar as a module
    main()
