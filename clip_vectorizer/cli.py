"""The command `clip-vectorizer`: serve, models, doctor, train."""

import os
from functools import partial
from pathlib import Path

import click

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.server.settings import LOG_LEVELS, PRECISIONS, Settings, parse_settings

PORT = click.IntRange(0, 65535)


@click.group()
@click.version_option(package_name="clip-vectorizer")
def main() -> None:
    """CLIP vectors for Weaviate: texts and images in, unit vectors out.

    \b
    Example:
      clip-vectorizer serve --model emoji
    """
    configure_logging("info")


@main.command(cls=ExitCodeCommand)
@click.option("--model", help="What to serve; `clip-vectorizer models` lists names.  [env: CLIP_MODEL; default: emoji]")
@click.option("--architecture", help="Of a checkpoint file, as open_clip names it.  [env: CLIP_ARCHITECTURE]")
@click.option("--host", help="Address to listen on.  [env: CLIP_HOST; default: 127.0.0.1]")
@click.option("--port", type=PORT, help="Port to listen on; 0 takes a free one.  [env: CLIP_PORT; default: 9090]")
@click.option("--device", help="cpu, cuda:N, cuda:all, or several with commas.  [env: CLIP_DEVICE]")
@click.option("--precision", type=click.Choice(PRECISIONS), help="[env: CLIP_PRECISION; default: fp32]")
@click.option("--threads", type=click.IntRange(0), help="Of one CPU pass; 0: as fits the model.  [env: CLIP_THREADS]")
@click.option("--max-batch", type=click.IntRange(1), help="Items in one pass.  [env: CLIP_MAX_BATCH; default: 32]")
@click.option("--processes", type=click.IntRange(1), help="For HTTP and decoding.  [env: CLIP_PROCESSES; default: 1]")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="debug: a JSON line a request.  [env: CLIP_LOG_LEVEL]")
def serve(**flags: str | int | None) -> None:
    """Run the sidecar that Weaviate's multi2vec-clip module calls, until SIGTERM or Ctrl-C.

    \b
    Example:
      clip-vectorizer serve --model emoji --port 9090
      curl -s localhost:9090/vectorize -d '{"texts": ["a red apple"]}'

    GET /.well-known/ready answers 204 once the model is loaded. Limits are set by CLIP_MAX_ITEMS, CLIP_MAX_QUEUE,
    CLIP_MAX_BODY_BYTES, CLIP_MAX_PIXELS and CLIP_DEADLINE_SECONDS; CLIP_BASIC_AUTH=user:password asks for a password,
    CLIP_API_KEYS=key1,key2 for a bearer key.
    """
    from clip_vectorizer.server.serve import serve as serve_until_signal
    from clip_vectorizer.server.startup import load_configured_encoders

    settings = read_settings(flags)
    configure_logging(settings.log_level)
    serve_until_signal(settings, lambda: load_configured_encoders(settings))


def read_settings(flags: dict[str, str | int | None]) -> Settings:
    """A flag that was given wins over its variable: `--max-batch 8` stands for CLIP_MAX_BATCH."""
    given = {f"CLIP_{name.upper()}": str(value) for name, value in flags.items() if value is not None}
    return parse_settings({**os.environ, **given})


@main.command(cls=ExitCodeCommand)
@click.argument("words", nargs=-1)
def models(words: tuple[str, ...]) -> None:
    """List the names that --model takes, or those that hold all WORDS.

    \b
    Example:
      clip-vectorizer models vit-b-32 laion

    ARCHITECTURE::random serves random weights, for load tests; hf-hub:ORG/NAME, local-dir:PATH and the path of a
    checkpoint (with --architecture) are taken too.
    """
    from clip_vectorizer.models.names import list_served_names

    for name in list_served_names():
        if all(word.lower() in name.lower() for word in words):
            click.echo(name)


@main.command(cls=ExitCodeCommand)
@click.option("--model", help="What to load and measure.  [env: CLIP_MODEL; default: emoji]")
@click.option("--device", help="cpu, cuda:N, cuda:all, or several with commas.  [env: CLIP_DEVICE]")
@click.option("--precision", type=click.Choice(PRECISIONS), help="[env: CLIP_PRECISION; default: fp32]")
@click.option("--threads", type=click.IntRange(0), help="Of one CPU pass; 0: as fits the model.  [env: CLIP_THREADS]")
@click.option("--max-batch", type=click.IntRange(1), help="Items in one pass.  [env: CLIP_MAX_BATCH; default: 32]")
@click.option("--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True, help="How long to measure each.")
def doctor(seconds: float, **flags: str | int | None) -> None:
    """Say what this machine offers, load the model, and measure how fast it is.

    \b
    Example:
      clip-vectorizer doctor --model emoji
    """
    from clip_vectorizer.models.doctor import DoctorLoad, describe_machine, inspect_machine, measure_encoder
    from clip_vectorizer.server.decode import decode_pixels
    from clip_vectorizer.server.startup import load_configured_encoders

    settings, machine = read_settings(flags), inspect_machine()
    for line in describe_machine(machine):
        click.echo(line)
    encoder, limits = load_configured_encoders(settings)[0], settings.limits
    read = partial(decode_pixels, encoder, max_pixels=limits.max_pixels)
    for line in measure_encoder(machine, encoder, read, DoctorLoad(limits.max_batch, seconds), PRECISIONS):
        click.echo(line)


@main.group()
def train() -> None:
    """Train the models of this project.

    \b
    Example:
      clip-vectorizer train emoji --work ~/emoji --output ~/emoji/model
    """


@train.command(cls=ExitCodeCommand)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for packages, art and stages.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder for the model.")
@click.option("--teacher-steps", type=click.IntRange(1), default=2800, show_default=True)
@click.option("--student-steps", type=click.IntRange(1), default=1800, show_default=True)
def emoji(work: Path, output: Path, teacher_steps: int, student_steps: int) -> None:
    """Train the bundled model on emoji drawings; needs npm and about two hours on two cores.

    The defaults are how the bundled weights were made. A finished stage is kept in the work folder and not repeated;
    at the end both stages are measured on the art set that is held out.

    \b
    Example:
      clip-vectorizer train emoji --work ~/emoji --output ~/emoji/model
      clip-vectorizer serve --model local-dir:$HOME/emoji/model
    """
    from clip_vectorizer.training.emoji import plan_training, train_emoji

    train_emoji(plan_training(work, output, teacher_steps, student_steps))


if __name__ == "__main__":  # ingest.embedded starts the sidecar as a module
    main()
