"""The commands `clip-vectorizer serve` and `clip-vectorizer doctor`, whose options are settings of the sidecar."""

import os
from functools import partial
from typing import Any

import click

from clip_vectorizer.cli_common import ExitCodeCommand, SpecialCase, Values
from clip_vectorizer.models.names import CHINESE, OWL, TAIYI, resolve_name
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.server.settings import COLOUR_MODES, LOG_LEVELS, PRECISIONS, Settings, parse_settings

DEFAULTS = Settings()


class SettingOption(click.Option):
    """An option whose environment variable may have spaces around its value, as in a file of variables."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        return (value.strip() or None) if value else value


class ModelOption(SettingOption):
    """An option whose variable must not be empty: that would serve another model than the one that was meant."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return super().resolve_envvar_value(ctx) or ("" if str(self.envvar) in os.environ else None)


def require_model(_: click.Context, option: click.Parameter, value: str) -> str:
    """Raises UsageError for an empty name."""
    if not value.strip():
        raise click.UsageError(
            f"--model ({option.envvar}) is empty: name a model, for example {DEFAULTS.model}, or remove it; "
            "`clip-vectorizer models` lists names"
        )
    return value


def variable(name: str) -> dict[str, Any]:
    """How an option reads its environment variable."""
    return {"cls": SettingOption, "envvar": name, "show_envvar": True}


def with_default(name: str, default: Any) -> dict[str, Any]:
    return {"default": default, "show_default": True, **variable(name)}


model_option = click.option(
    "--model",
    metavar="NAME",
    help="Model; `clip-vectorizer models` lists names.",
    callback=require_model,
    **with_default("CLIP_MODEL", DEFAULTS.model) | {"cls": ModelOption},
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


def serves_no_checkpoint(values: Values) -> bool:
    """Whether --model names a model with an architecture of its own."""
    model = resolve_name(str(values["model"]))
    return model == DEFAULTS.model or "::" in model or model.startswith(("hf-hub:", "local-dir:", *CHINESE, *OWL))


def serves_no_taiyi(values: Values) -> bool:
    return not str(values["model"]).startswith(TAIYI)


SERVE_RULES = (
    SpecialCase(
        "--architecture", serves_no_checkpoint, "describes a checkpoint file; give its path as --model, or remove it"
    ),
    SpecialCase("--attend-padding", serves_no_taiyi, f"is for Taiyi; give --model {TAIYI}TEXT,IMAGE, or remove it"),
)


@click.command(cls=ExitCodeCommand, rules=SERVE_RULES, short_help="Run the sidecar.")
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
    "--grounder",
    metavar="NAME",
    help="What finds regions: auto, none, head, tiles, dense, or a model of transformers, such as owlv2:PATH-OR-HUB.",
    **with_default("CLIP_GROUNDER", DEFAULTS.grounder),
)
@click.option(
    "--captioner",
    metavar="NAME",
    help="What writes captions: none, coca:ARCHITECTURE::TAG, coca:PATH or transformers:PATH-OR-HUB.",
    **with_default("CLIP_CAPTIONER", DEFAULTS.captioner),
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


@click.command(cls=ExitCodeCommand, short_help="Inspect the machine and measure the model's speed.")
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
