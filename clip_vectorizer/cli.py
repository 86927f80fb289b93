"""The command `clip-vectorizer`: serve, models, doctor, train, completion."""

from importlib.metadata import version
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.models_cli import find_model_store, models
from clip_vectorizer.serve_cli import doctor, serve
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.simclr_cli import simclr
from clip_vectorizer.train_cli import contrastive, grounding, linear_probe
from clip_vectorizer.training.art_sets import TRAINING_SETS

SHELLS = ("bash", "zsh", "fish")
COMMANDS = (
    *("clip-vectorizer", "clip-search", "clip-classify", "clip-ground", "clip-caption", "clip-eval", "clip-ingest"),
    *("clip-gallery", "clip-demo"),
)


def print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"clip-vectorizer {version('clip-vectorizer')}")
        click.echo(f"model store     {find_model_store()}")
        click.echo(f"weaviate-client {version('weaviate-client')}")
        context.exit()


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


for subcommand in (serve, models, doctor):
    main.add_command(subcommand)


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
    "--naming-steps",
    type=click.IntRange(0),
    default=1000,
    metavar="N",
    show_default=True,
    help="Of the text tower after these, in which names move to the drawings; 0: none.",
)
@click.option(
    "--without",
    type=click.Choice(TRAINING_SETS),
    multiple=True,
    metavar="ART",
    help=f"Art set to leave out, to measure what it brings; repeatable. One of {', '.join(TRAINING_SETS)}.",
)
def emoji(work: Path, output: Path, without: tuple[str, ...], **steps: int) -> None:
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
    from clip_vectorizer.training.text_tower import TextStage, plan_naming_part

    image = (ImageStage(steps["image_steps"]), plan_second_part(steps["restyled_steps"]))
    text = (TextStage(steps["text_steps"]), plan_naming_part(steps["naming_steps"]))
    train_emoji(TrainingPlan(work, output, *image, *text, without))
    click.echo(f"local-dir:{output.resolve()}")


train.add_command(contrastive)
train.add_command(linear_probe)
train.add_command(grounding)
train.add_command(simclr)


if __name__ == "__main__":  # ingest.embedded starts the sidecar as a module
    main()
