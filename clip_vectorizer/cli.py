"""The command `clip-vectorizer`: serve, models, doctor, train."""

import logging
import os
import sys

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.server.settings import PRECISIONS, settings_from

PORTS = click.IntRange(0, 65535)


@click.group()
@click.version_option(package_name="clip-vectorizer")
def main() -> None:
    """CLIP vectors for Weaviate: texts and images in, unit vectors out."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "httpx2", "PIL", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@main.command(cls=FriendlyErrors)
@click.option("--model", help="What to serve; `clip-vectorizer models` lists names.  [env: CLIP_MODEL; default: emoji]")
@click.option("--architecture", help="Of a checkpoint file, as open_clip names it.  [env: CLIP_ARCHITECTURE]")
@click.option("--host", help="Address to listen on.  [env: CLIP_HOST; default: 127.0.0.1]")
@click.option("--port", type=PORTS, help="Port to listen on; 0 takes a free one.  [env: CLIP_PORT; default: 9090]")
@click.option("--device", help="cpu, cuda or cuda:N.  [env: CLIP_DEVICE; default: cpu]")
@click.option("--precision", type=click.Choice(PRECISIONS), help="[env: CLIP_PRECISION; default: fp32]")
@click.option(
    "--threads", type=click.IntRange(0), help="Of one pass on a CPU; 0 lets torch choose.  [env: CLIP_THREADS]"
)
@click.option("--max-batch", type=click.IntRange(1), help="Items in one pass.  [env: CLIP_MAX_BATCH; default: 32]")
def serve(**flags: str | int | None) -> None:
    """Run the sidecar that Weaviate's multi2vec-clip module calls, until SIGTERM or Ctrl-C.

    \b
    Example:
      clip-vectorizer serve --model emoji --port 9090
      curl -s localhost:9090/vectorize -d '{"texts": ["a red apple"]}'

    GET /.well-known/ready answers 204 once the model is loaded. Limits are set by CLIP_MAX_ITEMS, CLIP_MAX_QUEUE,
    CLIP_MAX_BODY_BYTES, CLIP_MAX_PIXELS and CLIP_DEADLINE_SECONDS; CLIP_BASIC_AUTH=user:password asks for a password.
    """
    from clip_vectorizer.server.serve import serve as serve_until_signal
    from clip_vectorizer.server.start import load_as_set

    settings = settings_from({**os.environ, **named_as_environment(flags)})
    serve_until_signal(settings, lambda: load_as_set(settings))


def named_as_environment(flags: dict[str, str | int | None]) -> dict[str, str]:
    """A flag that was given wins over its variable: `--max-batch 8` becomes CLIP_MAX_BATCH."""
    return {f"CLIP_{name.upper()}": str(value) for name, value in flags.items() if value is not None}


if __name__ == "__main__":  # ingest.embedded starts the sidecar as a module
    main()
