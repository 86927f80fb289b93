"""The command `clip-vectorizer train simclr`: options and rules."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, SpecialCase
from clip_vectorizer.common_options import pdf_password_option
from clip_vectorizer.images.pdf_passwords import parse_passwords
from clip_vectorizer.train_cli import device_option, output_option, precision_option, seed_option, source_argument
from clip_vectorizer.training.simclr.plan import SIDES, SimclrPlan

VIEWS = SimclrPlan(Path(), Path())  # the defaults


@click.command(
    cls=ExitCodeCommand,
    short_help="Train an image-only encoder on pages without labels.",
    rules=(
        Exclusion("--epochs", ("--steps",), "both are the length of the training"),
        SpecialCase(
            "--resume",
            lambda values: values["steps"] == 0,
            "continues a training, and --steps 0 is none; remove one of them",
        ),
    ),
)
@source_argument
@output_option("FOLDER", "New folder for the trained model; its folder `training` has the checkpoint and the curve.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    show_default="in --output, until the end",
    help="Where the pages are kept, drawn small, for later trainings on SOURCE with the same --side.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=VIEWS.epochs, metavar="N", show_default=True, help="Passes over SOURCE."
)
@click.option(
    "--steps",
    type=click.IntRange(0),
    metavar="N",
    show_default="by --epochs",
    help="Batches instead of epochs; 0 writes random weights and reads no page.",
)
@click.option(
    "--side",
    type=click.Choice([str(side) for side in SIDES]),
    default=str(VIEWS.side),
    show_default=True,
    help="Pixels of a view, and of a picture in the trained model.",
)
@click.option(
    "--batch",
    type=click.IntRange(2),
    default=VIEWS.batch,
    metavar="N",
    show_default=True,
    help="Pages in a batch, with two views of each: the other views are negatives.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, min_open=True),
    default=VIEWS.temperature,
    metavar="T",
    show_default=True,
    help="Cosines are divided by it: the lower, the more the nearest negatives count.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=VIEWS.learning_rate,
    metavar="RATE",
    show_default=True,
    help="Highest rate: a warm-up leads to it, a cosine from it to 0.",
)
@device_option("cpu, or a CUDA device: cuda:0.")
@precision_option("bf16: autocast of the network, faster where the hardware has it; weights and loss stay in fp32.")
@seed_option("Of random weights, order and views.")
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(1),
    default=VIEWS.checkpoint_steps,
    metavar="N",
    show_default=True,
    help="Steps between checkpoints.",
)
@pdf_password_option
@click.option("--resume", is_flag=True, help="Continue the training in --output from its checkpoint.")
def simclr(side: str, pdf_passwords: tuple[str, ...], **options: Any) -> None:
    """Train a ResNet-18 on the pages of SOURCE, a folder of images and PDF files, without any label or text (SimCLR).

    Two views of a page that differ as two scans do are to be nearer to each other than to views of other pages. The
    output is an image-only model: it has vectors of images, and answers texts with an error. After a kill, the same
    line with --resume continues, on the same machine with the same losses.

    \b
    Example:
      clip-vectorizer train simclr examples/images --output pages-model --epochs 2
      clip-vectorizer serve --model local-dir:pages-model
    """
    from clip_vectorizer.progress import StepDisplay  # rich takes a while to import
    from clip_vectorizer.training.simclr.run import train_simclr

    with StepDisplay() as progress:
        passwords = parse_passwords(pdf_passwords)
        folder = train_simclr(SimclrPlan(side=int(side), pdf_passwords=passwords, **options), progress)
    click.echo(f"local-dir:{folder.resolve()}")
