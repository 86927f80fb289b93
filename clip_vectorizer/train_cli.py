"""The commands `clip-vectorizer train contrastive` and `clip-vectorizer train linear-probe`: options and rules."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, SpecialCase, Values
from clip_vectorizer.common_options import (
    WEAVIATE_OPTIONS,
    tenant_option,
    weaviate_options,
)
from clip_vectorizer.serve_cli import serves_no_checkpoint
from clip_vectorizer.training.captioned_images import is_table
from clip_vectorizer.training.contrastive_plan import FINE_TUNING_RATE, SCRATCH_RATE, ContrastivePlan, is_collection
from clip_vectorizer.training.probe_plan import ProbePlan

PLAN, PROBE = ContrastivePlan(Path(), Path(), ""), ProbePlan(Path(), Path(), "")  # the defaults


def reads_no_table(values: Values) -> bool:
    return not any(source and is_table(source) for source in (values["source"], values["validation"]))


def reads_no_collection(values: Values) -> bool:
    return not any(is_collection(source) for source in (values["source"], values["validation"]))


def has_no_columns(values: Values) -> bool:
    return reads_no_table(values) and reads_no_collection(values)


def holds_nothing_out(values: Values) -> bool:
    return not values["validation"] and not values["validation_share"]


TABLES = "a table (.csv, .tsv, .jsonl, .parquet)"
ABOUT_TABLES = f"is about tables; name {TABLES} as the source, or remove it"
ABOUT_CAPTIONS = f"is about tables and collections; name {TABLES} or weaviate:COLLECTION as the source, or remove it"
ABOUT_COLLECTIONS = "is about collections; name weaviate:COLLECTION as the source, or remove it"


@click.command(
    cls=ExitCodeCommand,
    short_help="Train or fine-tune a CLIP on captioned images.",
    rules=(
        SpecialCase(
            "--architecture",
            serves_no_checkpoint,
            "is for a checkpoint file; every other name has its own architecture: remove it",
        ),
        Exclusion("--validation-share", ("--validation",), "images are held out only where no others are named"),
        SpecialCase("--patience", holds_nothing_out, "needs images held out; remove it, or --validation-share 0"),
        SpecialCase(
            "--interpolate",
            lambda values: str(values["model"]).endswith("::random"),
            "keeps a share of weights that were trained before; remove it for random ones",
        ),
        SpecialCase("--path-column", reads_no_table, ABOUT_TABLES),
        SpecialCase("--caption-column", has_no_columns, ABOUT_CAPTIONS),
        *(SpecialCase(each, reads_no_collection, ABOUT_COLLECTIONS) for each in (*WEAVIATE_OPTIONS, "--tenant")),
        SpecialCase(
            "--chunk",
            lambda values: bool(values["chunk"]) and values["chunk"] >= values["batch"],
            "has an effect only if it is smaller than --batch; remove it",
        ),
        SpecialCase(
            "--processes",
            lambda values: values["processes"] > 1 and str(values["device"]).startswith("cuda:"),
            "have a device each; use --device cuda, or cpu",
        ),
    ),
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New folder for the trained model; its folder `training` has the checkpoint and the curve.",
)
@click.option("--model", required=True, metavar="NAME", help="Start; ARCHITECTURE::random starts from random weights.")
@click.option("--architecture", default="", metavar="NAME", help="Architecture of a checkpoint file.")
@click.option(
    "--loss",
    type=click.Choice(("softmax", "sigmoid")),
    default=PLAN.loss,
    show_default=True,
    help="softmax: CLIP's cross-entropy over the batch; sigmoid: SigLIP's, pair by pair.",
)
@click.option("--freeze", type=click.Choice(("image", "text")), help="Tower that does not change; image: LiT.")
@click.option(
    "--epochs", type=click.IntRange(1), default=PLAN.epochs, metavar="N", show_default=True, help="Passes over SOURCE."
)
@click.option(
    "--batch",
    type=click.IntRange(2),
    default=PLAN.batch,
    metavar="N",
    show_default=True,
    help="Pairs in a batch, each a negative of the others.",
)
@click.option(
    "--chunk",
    type=click.IntRange(1),
    metavar="N",
    show_default="the batch",
    help="Items in a tower at a time: less memory, the same gradient, and a second pass.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    metavar="RATE",
    show_default=f"{FINE_TUNING_RATE:g}; {SCRATCH_RATE:g} with ::random",
    help="Highest rate: a warm-up leads to it, a cosine from it to 0.",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(0),
    default=PLAN.weight_decay,
    metavar="SHARE",
    show_default=True,
    help="Of AdamW; none on gains, biases and the temperature.",
)
@click.option(
    "--warmup", type=click.IntRange(0), metavar="STEPS", show_default="a tenth of all", help="Length of the warm-up."
)
@click.option(
    "--crop",
    type=click.FloatRange(0, 1, min_open=True),
    default=PLAN.crop,
    metavar="SHARE",
    show_default=True,
    help="Least share of an image's area that a random crop keeps; 1: no crops.",
)
@click.option(
    "--device",
    default=PLAN.device,
    metavar="NAME",
    show_default=True,
    help="cpu, one CUDA device: cuda:0, or cuda: one for each process.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=PLAN.processes,
    metavar="N",
    show_default=True,
    help="Processes on this machine that share each batch; the loss is that of the whole batch.",
)
@click.option(
    "--precision",
    type=click.Choice(("fp32", "bf16")),
    default=PLAN.precision,
    show_default=True,
    help="bf16: autocast of the towers; weights and loss stay in fp32.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=PLAN.seed,
    metavar="N",
    show_default=True,
    help="Of random weights, order, crops and images held out.",
)
@click.option(
    "--validation", type=click.Path(path_type=Path), metavar="SOURCE", help="Captioned images to validate with."
)
@click.option(
    "--validation-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=PLAN.validation_share,
    metavar="SHARE",
    show_default=True,
    help="Share of SOURCE that is held out to validate with; 0: no validation.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=PLAN.patience,
    metavar="EPOCHS",
    show_default=True,
    help="Stop after so many epochs without a gain in recall@1.",
)
@click.option(
    "--checkpoint-steps",
    type=click.IntRange(1),
    default=PLAN.checkpoint_steps,
    metavar="N",
    show_default=True,
    help="Steps between checkpoints; each epoch ends with one.",
)
@click.option(
    "--interpolate",
    type=click.FloatRange(0, 1, max_open=True),
    default=PLAN.interpolate,
    metavar="SHARE",
    show_default=True,
    help="Share of the start's weights in the output (WiSE-FT): less of what was known before is lost.",
)
@click.option("--path-column", default="", metavar="NAME", help="Column of a table with the image files.")
@click.option(
    "--caption-column",
    default="",
    metavar="NAME",
    help="Column or property with the captions of a table or collection.",
)
@click.option("--resume", is_flag=True, help="Continue the training in --output from its checkpoint.")
@tenant_option
@weaviate_options
def contrastive(**options: Any) -> None:
    """Train or fine-tune a CLIP on the captioned images of SOURCE: a folder with .txt files beside the images, a table
    (.csv, .tsv, .jsonl, .parquet) with an image or its path and a caption a row, WebDataset shards (.tar), or a
    collection in Weaviate (weaviate:Image).

    The output keeps the weights of the epoch with the best validation. After a kill, the same line with --resume
    continues, on the same machine with the same losses.

    \b
    Example:
      clip-vectorizer train contrastive examples/images --model emoji --output out
      clip-vectorizer serve --model local-dir:out
    """
    from clip_vectorizer.progress import StepDisplay  # rich takes a while to import
    from clip_vectorizer.training.contrastive_run import train_contrastive
    from clip_vectorizer.training.training_group import read_rank

    with StepDisplay() as progress:
        folder = train_contrastive(ContrastivePlan(**options), progress)
    if read_rank().is_first:
        click.echo(f"local-dir:{folder.resolve()}")


def reads_no_test_table(values: Values) -> bool:
    return not any(source and is_table(source) for source in (values["source"], values["test"]))


def reads_no_test_collection(values: Values) -> bool:
    return not any(is_collection(source) for source in (values["source"], values["test"]))


@click.command(
    "linear-probe",
    cls=ExitCodeCommand,
    short_help="Fit a classifier on the features of a model.",
    rules=(
        SpecialCase(
            "--architecture",
            serves_no_checkpoint,
            "is for a checkpoint file; every other name has its own architecture: remove it",
        ),
        Exclusion("--test-share", ("--test",), "images are held out only where no others are named"),
        SpecialCase("--path-column", reads_no_test_table, ABOUT_TABLES),
        SpecialCase(
            "--label-column",
            lambda values: reads_no_test_table(values) and reads_no_test_collection(values),
            ABOUT_CAPTIONS,
        ),
        *(SpecialCase(each, reads_no_test_collection, ABOUT_COLLECTIONS) for each in (*WEAVIATE_OPTIONS, "--tenant")),
    ),
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="New file for the probe (.npz)."
)
@click.option("--model", required=True, metavar="NAME", help="Model whose features are classified.")
@click.option("--architecture", default="", metavar="NAME", help="Architecture of a checkpoint file.")
@click.option(
    "--device", default=PROBE.device, metavar="NAME", show_default=True, help="cpu, or a CUDA device: cuda:0."
)
@click.option(
    "--precision",
    type=click.Choice(("fp32", "bf16")),
    default=PROBE.precision,
    show_default=True,
    help="Of the model; use the one that it is served with.",
)
@click.option("--test", type=click.Path(path_type=Path), metavar="SOURCE", help="Labelled images to test with.")
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=PROBE.test_share,
    metavar="SHARE",
    show_default=True,
    help="Share of each label's images that is held out to test with.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=PROBE.seed,
    metavar="N",
    show_default=True,
    help="Of the images held out for test and validation.",
)
@click.option("--path-column", default="", metavar="NAME", help="Column of a table with the image files.")
@click.option(
    "--label-column", default="", metavar="NAME", help="Column or property with the labels of a table or collection."
)
@tenant_option
@weaviate_options
def linear_probe(**options: Any) -> None:
    """Fit a logistic regression on a model's features of the labelled images of SOURCE: a folder with a subfolder of
    images for every label, a table (.csv, .tsv, .jsonl, .parquet) with an image or its path and a label a row, or a
    collection in Weaviate (weaviate:Image). The model does not change.

    The regularization is chosen on a fifth of the images; the accuracy is that on images held out for the test, with
    its 95 % interval. Both are in the file, which `clip-classify --linear-probe FILE` applies.

    \b
    Example:
      clip-vectorizer train linear-probe FOLDER --model emoji --output kinds.npz
      clip-classify --linear-probe kinds.npz examples/images/fruit/*.png
    """
    from clip_vectorizer.progress import StepDisplay  # rich takes a while to import
    from clip_vectorizer.training.linear_probe import train_linear_probe

    plan = ProbePlan(**options)
    with StepDisplay() as progress:
        trained = train_linear_probe(plan, progress)
    click.echo(f"{plan.output}: {trained}")
