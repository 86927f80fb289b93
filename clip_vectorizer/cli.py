"""The command `clip-vectorizer`: serve, models, doctor, train, completion."""

from importlib.metadata import version
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.models_cli import find_model_store, models
from clip_vectorizer.serve_cli import doctor, serve
from clip_vectorizer.server.logs import configure_logging
from clip_vectorizer.train_cli import contrastive, linear_probe

SHELLS = ("bash", "zsh", "fish")
COMMANDS = ("clip-vectorizer", "clip-search", "clip-classify", "clip-eval", "clip-ingest", "clip-demo")


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
