"""The commands `clip-vectorizer train contrastive`, `linear-probe` and `grounding`: options and rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, SpecialCase, Values
from clip_vectorizer.common_options import WEAVIATE_OPTIONS, CommandT, tenant_option, weaviate_options
from clip_vectorizer.serve_cli import serves_no_checkpoint
from clip_vectorizer.training.captioned_images import is_table
from clip_vectorizer.training.contrastive_plan import FINE_TUNING_RATE, SCRATCH_RATE, ContrastivePlan, is_collection
from clip_vectorizer.training.grounding.plan import STAGES, GroundingPlan, HeadStage, SelfTraining
from clip_vectorizer.training.probe_plan import ProbePlan

PLAN, PROBE = ContrastivePlan(Path(), Path(), ""), ProbePlan(Path(), Path(), "")  # the defaults
HEAD, LABELS = HeadStage(), SelfTraining(0)


def holds_nothing_out(values: Values) -> bool:
    return not values["validation"] and not values["validation_share"]


TABLES = "a table (.csv, .tsv, .jsonl, .parquet)"
ABOUT_TABLES = f"is about tables; name {TABLES} as the source, or remove it"
ABOUT_CAPTIONS = f"is about tables and collections; name {TABLES} or weaviate:COLLECTION as the source, or remove it"
ABOUT_COLLECTIONS = "is about collections; name weaviate:COLLECTION as the source, or remove it"

ARCHITECTURE_RULE = SpecialCase(
    "--architecture",
    serves_no_checkpoint,
    "is for a checkpoint file; every other name has its own architecture: remove it",
)
source_argument = click.argument("source", type=click.Path(path_type=Path))
architecture_option = click.option(
    "--architecture", default="", metavar="NAME", help="Architecture of a checkpoint file."
)
path_column_option = click.option(
    "--path-column", default="", metavar="NAME", help="Column of a table with the image files."
)


def source_rules(held_out: str, column: str) -> tuple[SpecialCase, ...]:
    """Refuse what is about tables or collections where neither SOURCE nor the source of `held_out` is one.

    `column`: the option of the captions or labels.
    """

    def reads_no(is_kind: Callable[[Path], bool]) -> Callable[[Values], bool]:
        return lambda values: not any(source and is_kind(source) for source in (values["source"], values[held_out]))

    reads_no_table, reads_no_collection = reads_no(is_table), reads_no(is_collection)
    return (
        SpecialCase("--path-column", reads_no_table, ABOUT_TABLES),
        SpecialCase(column, lambda values: reads_no_table(values) and reads_no_collection(values), ABOUT_CAPTIONS),
        *(SpecialCase(each, reads_no_collection, ABOUT_COLLECTIONS) for each in (*WEAVIATE_OPTIONS, "--tenant")),
    )


def output_option(metavar: str, words: str) -> Callable[[CommandT], CommandT]:
    return click.option("--output", type=click.Path(path_type=Path), required=True, metavar=metavar, help=words)


def model_option(words: str) -> Callable[[CommandT], CommandT]:
    return click.option("--model", required=True, metavar="NAME", help=words)


def device_option(words: str) -> Callable[[CommandT], CommandT]:
    return click.option("--device", default=PLAN.device, metavar="NAME", show_default=True, help=words)


def precision_option(words: str) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--precision", type=click.Choice(("fp32", "bf16")), default=PLAN.precision, show_default=True, help=words
    )


def seed_option(words: str) -> Callable[[CommandT], CommandT]:
    return click.option("--seed", type=click.IntRange(0), default=PLAN.seed, metavar="N", show_default=True, help=words)


def held_out_option(name: str, words: str) -> Callable[[CommandT], CommandT]:
    """A source of its own to validate or test with."""
    return click.option(name, type=click.Path(path_type=Path), metavar="SOURCE", help=words)


@click.command(
    cls=ExitCodeCommand,
    short_help="Train or fine-tune a CLIP on captioned images.",
    rules=(
        ARCHITECTURE_RULE,
        Exclusion("--validation-share", ("--validation",), "images are held out only where no others are named"),
        SpecialCase("--patience", holds_nothing_out, "needs images held out; remove it, or --validation-share 0"),
        SpecialCase(
            "--interpolate",
            lambda values: str(values["model"]).endswith("::random"),
            "keeps a share of weights that were trained before; remove it for random ones",
        ),
        *source_rules("validation", "--caption-column"),
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
@source_argument
@output_option("FOLDER", "New folder for the trained model; its folder `training` has the checkpoint and the curve.")
@model_option("Start; ARCHITECTURE::random starts from random weights.")
@architecture_option
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
@device_option("cpu, one CUDA device: cuda:0, or cuda: one for each process.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=PLAN.processes,
    metavar="N",
    show_default=True,
    help="Processes on this machine that share each batch; the loss is that of the whole batch.",
)
@precision_option("bf16: autocast of the towers; weights and loss stay in fp32.")
@seed_option("Of random weights, order, crops and images held out.")
@held_out_option("--validation", "Captioned images to validate with.")
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
@path_column_option
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


@click.command(
    "linear-probe",
    cls=ExitCodeCommand,
    short_help="Fit a classifier on the features of a model.",
    rules=(
        ARCHITECTURE_RULE,
        Exclusion("--test-share", ("--test",), "images are held out only where no others are named"),
        *source_rules("test", "--label-column"),
    ),
)
@source_argument
@output_option("FILE", "New file for the probe (.npz).")
@model_option("Model whose features are classified.")
@architecture_option
@device_option("cpu, or a CUDA device: cuda:0.")
@precision_option("Of the model; use the one that it is served with.")
@held_out_option("--test", "Labelled images to test with.")
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=PROBE.test_share,
    metavar="SHARE",
    show_default=True,
    help="Share of each label's images that is held out to test with.",
)
@seed_option("Of the images held out for test and validation.")
@path_column_option
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


@click.command(
    cls=ExitCodeCommand,
    short_help="Train the head that finds what a phrase names in a picture.",
    rules=tuple(
        SpecialCase(name, lambda values: not values["pool"], "is about a pool of scenes; give --pool, or remove it")
        for name in ("--labels-share", "--teacher")
    ),
)
@click.option(
    "--work", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="As of `train emoji`, or its own."
)
@output_option("FOLDER", "A copy of the model, with the head.")
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    show_default="the bundled emoji",
    help="Model that the head is for, from `train emoji`.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=HEAD.steps, metavar="N", show_default=True, help="Batches of scenes."
)
@click.option(
    "--batch", type=click.IntRange(1), default=HEAD.batch, metavar="N", show_default=True, help="Scenes in a batch."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=HEAD.peak,
    metavar="RATE",
    show_default=True,
    help="Highest rate: a warm-up leads to it, a cosine from it to 0.",
)
@click.option(
    "--channels",
    type=click.IntRange(16),
    default=HEAD.channels,
    metavar="N",
    show_default=True,
    help="Channels of the head, a multiple of 16.",
)
@click.option(
    "--tune",
    type=click.Choice(STAGES),
    multiple=True,
    default=HEAD.tuned,
    show_default=True,
    help="Stage of the image tower that the head has a copy of, which learns; repeatable.",
)
@click.option(
    "--calibration",
    type=click.IntRange(1),
    default=HEAD.calibration,
    metavar="N",
    show_default=True,
    help="Scenes that the probabilities are fitted on.",
)
@click.option(
    "--pool",
    type=click.IntRange(1),
    metavar="N",
    show_default="without end",
    help="Scenes that there are, for an experiment with few labels.",
)
@click.option(
    "--labels-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=LABELS.labels_share,
    metavar="SHARE",
    show_default=True,
    help="Of the pool: scenes with boxes; the others have captions only.",
)
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Weights of a head in --work, which finds boxes for the captions; without: these scenes are left out.",
)
@seed_option("Of random weights and scenes.")
def grounding(work: Path, output: Path, model: Path | None, **options: Any) -> None:
    """Train the head of the bundled model on scenes composed of emoji drawings, whose boxes and phrases are known.

    Needs npm, which fetches the drawings, and pip install 'clip-vectorizer[train]'. The defaults are those of the
    bundled head. The same line continues an interrupted training from its last checkpoint, which is in --work.

    \b
    Example:
      clip-vectorizer train grounding --work ~/emoji --output ~/emoji/grounded
      clip-vectorizer serve --model local-dir:$HOME/emoji/grounded
    """
    from clip_vectorizer.training.grounding.run import train_grounding

    pool, share, teacher = (options.pop(name) for name in ("pool", "labels_share", "teacher"))
    experiment = SelfTraining(pool, share, teacher) if pool else None
    rate, tuned = options.pop("learning_rate"), tuple(sorted(set(options.pop("tune"))))
    stage = HeadStage(peak=rate, tuned=tuned, self_training=experiment, **options)
    train_grounding(GroundingPlan(work, output, stage, model))
    click.echo(f"local-dir:{output.resolve()}")
