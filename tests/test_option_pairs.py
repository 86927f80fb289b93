"""Every pair of options of every command works together, or is refused with a sentence. No option is ignored.

Commands and options are enumerated from click: a new one without a sample below fails. A pair that is accepted must
change what the command is going to do, by each of its two options.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from clip_vectorizer.cli import main as vectorizer
from clip_vectorizer.cli_common import typed_name
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.gallery.cli import main as gallery
from clip_vectorizer.query.cli import caption_actions, classify_actions, ground_actions, search_request
from clip_vectorizer.query.cli.caption import main as caption
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.evaluate import main as evaluate
from clip_vectorizer.query.cli.ground import is_stored
from clip_vectorizer.query.cli.ground import main as ground
from clip_vectorizer.query.cli.search import expand
from clip_vectorizer.query.cli.search import main as search
from clip_vectorizer.query.saved_searches import SavedSearch, SavedSearches
from clip_vectorizer.serve_cli import merge_settings
from clip_vectorizer.training.contrastive_plan import ContrastivePlan
from clip_vectorizer.training.probe_plan import ProbePlan
from clip_vectorizer.training.simclr.plan import SimclrPlan
from ingest.cli import main as ingest
from ingest.demo.cli import main as demo
from ingest.items import ItemOutcome, Status
from ingest.job import build_job
from ingest.report import IngestReport, ReportFile

Values = dict[str, Any]

# An option that states what holds anyway: it works, and changes nothing.
REDUNDANT = {("--html", "--thumbnails")}

WEAVIATE = {"--weaviate-url": "http://w:1", "--weaviate-grpc-port": "7", "--weaviate-api-key": "key"}
SIDECAR = {"--vectorizer-url": "http://v:1", "--vectorizer-api-key": "key"}
STORED = {"--collection": "Mine", "--tenant": "one"}
FLAG = None


def plan_search(values: Values) -> object:
    values, _ = expand(values)
    request = search_request.build_request(values)
    if not isinstance(request, search_request.StringSearchRequest):
        return request, pick(values, "collection", "tenant", "consistency", "weaviate", "vectorizer", "allow")
    reads_property = request.source.startswith("property:")
    return request, pick(values, "collection", "tenant", "weaviate") if reads_property else ()


def plan_classify(values: Values) -> object:
    request = classify_actions.build_request(values)
    stored = ("collection", "tenant", "consistency") if request.needs_collection else ()
    return request, pick(values, *stored, "weaviate", "vectorizer", "allow")


def plan_caption(values: Values) -> object:
    return caption_actions.build_arguments(values), pick(
        values, "by", "collection", "tenant", "cons", "weav", "vect", "as_json"
    )


def plan_ground(values: Values) -> object:
    used = ("collection", "tenant", "consistency", "weaviate") if is_stored(values) else ("allow",)
    return ground_actions.build_request(values), pick(values, *used, "image", "as_json", "coco", "png", "html", "vect")


def plan_ingest(values: Values) -> object:
    more = pick(values, "report_file", "as_json", "ray_address")
    return build_job(**{name: value for name, value in values.items() if name not in dict(more)}), more


def plan_run(values: Values) -> object:
    unused = ("tenant", "weaviate") if values["folder"] else ()
    return [item for item in values.items() if not item[0].startswith(unused)] if unused else values


def plan_compare(values: Values) -> object:
    called = any(values[side].startswith("http") for side in ("first", "second"))
    return {name: value for name, value in values.items() if called or name != "vectorizer_api_key"}


def plan_limits(values: Values) -> object:
    called = values["model"].startswith("http")
    return {name: value for name, value in values.items() if called or name != "vectorizer_api_key"}


def pick(values: Values, *prefixes: str) -> list[tuple[str, object]]:
    return [item for item in values.items() if item[0].startswith(prefixes)]


@dataclass(frozen=True)
class Case:
    """Values for all options and arguments of a command; `plan` turns its parameters into what it is going to do.

    `contexts`: options that are given besides each pair; `needs`: what options need to have an effect.
    """

    samples: Mapping[str, str | None]
    plan: Callable[[Values], object] = dict
    contexts: Sequence[tuple[str, ...]] = ((),)
    needs: Callable[[frozenset[str]], tuple[str, ...]] = lambda _: ()
    base: Callable[[frozenset[str]], tuple[str, ...]] | None = None  # what every run needs; None: as `needs`


def needs_of_search(names: frozenset[str]) -> tuple[str, ...]:
    queries = {
        "TEXT",
        "--image",
        "--like",
        "--unlike",
        "--vector",
        "--plus",
        "--minus",
        "--list",
        "--newest",
        "--after",
    }
    if "--saved" in names:
        return ("--searches", *(["--json"] if "--vectors" in names else []))
    needed = [] if names & queries and "--similar-strings" not in names else ["TEXT"]
    needed += ["--move-to"] if "--force" in names and "--move-away" not in names else []
    needed += ["--json"] if "--vectors" in names else []
    needed += ["--list"] if names & {"--newest", "--after"} else []
    needed += ["--group-by"] if "--per-group" in names else []
    needed += ["TEXT"] if names & {"--plain", "--captions"} else []
    needed += ["--image"] if "--allow-address" in names else []
    return tuple(needed)


def base_of_search(names: frozenset[str]) -> tuple[str, ...]:
    queries = {"TEXT", "--image", "--like", "--unlike", "--vector", "--plus", "--minus", "--list", "--similar-strings"}
    if "--saved" in names:
        return ("--searches",)
    return () if names & queries else ("TEXT",)


def base_of_classify(names: frozenset[str]) -> tuple[str, ...]:
    return () if names & {"--labels", "--label-set"} else ("--labels",)


def needs_of_pages(names: frozenset[str]) -> tuple[str, ...]:
    return ("CORPUS", *(["MODELS"] if "--vectorizer-api-key" in names else []))


def base_of_ingest(names: frozenset[str]) -> tuple[str, ...]:
    return () if names & {"SOURCE", "--retry-failed", "--reindex"} else ("SOURCE",)


def needs_of_classify(names: frozenset[str]) -> tuple[str, ...]:
    labels = base_of_classify(names)
    shots = ("--few-shot",) if "--shots" in names and "--linear-probe" not in names else ()
    files = ("FILES",) if "--allow-address" in names else ()
    return (*labels, *shots, *files)


def needs_of_caption(names: frozenset[str]) -> tuple[str, ...]:
    return ("--by",) if names & {"--labels", "--label-set"} else ("--by", "--labels")


def base_of_ground(names: frozenset[str]) -> tuple[str, ...]:
    return ("IMAGE",) if names & {"SENTENCE", "--phrases"} else ("IMAGE", "SENTENCE")


def needs_of_ground(names: frozenset[str]) -> tuple[str, ...]:
    database = {"--collection", "--tenant", "--consistency", *WEAVIATE}
    return (*base_of_ground(names), *(("--stored",) if names & database else ()))


def needs_of_ingest(names: frozenset[str]) -> tuple[str, ...]:
    source = base_of_ingest(names)
    prune = ("--prune",) if "--prune-limit" in names else ()
    reindex = ("--reindex",) if names & {"--inference-url", "--beside"} else ()
    regions = ("--regions",) if "--region-limit" in names else ()
    return (*source, *prune, *reindex, *regions)


CASES = {
    "clip-search": Case(
        {
            "TEXT": "a + 2*b", "--image": "https://x/a.png", "--like": "a.png", "--unlike": "b.png",
            "--vector": "v.npy", "--plus": "p", "--minus": "m", "--plain": FLAG,
            "--move-to": "t", "--move-away": "u", "--force": "0.7",
            "--where": "label=x", "--min-similarity": "0.1", "--auto-limit": "2", "--limit": "3", "--offset": "4",
            "--dedupe": FLAG, "--diversity": "0.5", "--captions": "0.5", "--group-by": "label", "--per-group": "2",
            "--regions": FLAG,
            "--json": FLAG, "-0": FLAG, "--html": "-", "--explain": FLAG, "--property": "size", "--vectors": FLAG,
            "--thumbnails": FLAG, "--list": FLAG, "--newest": FLAG, "--after": "id", "--similar-strings": "x.txt",
            "--saved": "red", "--searches": "searches.json",
            "--consistency": "ONE", "--allow-address": "localhost", **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_search,
        ((), ("--list",), ("--json",)),
        needs_of_search,
        base_of_search,
    ),
    "clip-classify": Case(
        {
            "FILES": "a.png", "--labels": "a,b", "--label-set": "set", "--prompts": "photo", "--template": "a {}",
            "--query": "red", "--where": "label=x", "--limit": "3", "--strategy": "images", "--few-shot": "label",
            "--linear-probe": "label", "--shots": "2", "--remove-means": FLAG, "--other": "0.3",
            "--other-from": "folder", "--json": FLAG, "--save": FLAG, "--consistency": "ONE",
            "--allow-address": "localhost", **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_classify,
        ((), ("FILES",), ("--few-shot",)),
        needs_of_classify,
        base_of_classify,
    ),
    "clip-caption": Case(
        {
            "--by": "labels", "--labels": "a,b", "--label-set": "set", "--prompts": "photo", "--top": "2",
            "--least": "0.7", "--batch": "3", "--where": "label=x", "--limit": "3", "--redo": FLAG, "--json": FLAG,
            "--consistency": "ONE", **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_caption,
        needs=needs_of_caption,
    ),
    "clip-ground": Case(
        {
            "IMAGE": "https://x/a.png", "SENTENCE": "a cat", "--phrases": "cat,owl", "--prompts": "photo",
            "--template": "a {}", "--stored": FLAG, "--allow-address": "localhost", "--threshold": "0.7",
            "--nms": "0.3", "--top": "2", "--exclusive": FLAG, "--json": FLAG, "--coco": "c.json", "--png": "p.png",
            "--html": "h.html", "--consistency": "ONE", **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_ground,
        ((), ("--stored",)),
        needs_of_ground,
        base_of_ground,
    ),
    "clip-ingest": Case(
        {
            "SOURCE": "- rows.csv", "--embed": "client", "--keep": "hash", "--quantizer": "rq-8", "--ignore": "*.tmp",
            "--hidden": FLAG, "--prefix": "shop", "--limit": "5", "--shard": "1/2", "--retry-failed": "report.jsonl",
            "--fit": "pad", "--dpi": "72", "--pdf-password": "secret", "--least-decoded": "0.5", "--frames": FLAG,
            "--exif": FLAG, "--property": "price",
            "--path-column": "p", "--label-column": "l", "--caption-column": "c", "--root": "r", "-0": FLAG,
            "--allow-address": "localhost", "--storage": "anon=true",
            "--checksum": FLAG, "--workers": "3", "--take-over": FLAG, "--prune": FLAG,
            "--prune-limit": "5", "--near-duplicates": "4", "--ray": "local", "--watch": FLAG, "--reindex": FLAG,
            "--beside": FLAG, "--inference-url": "http://i:1", "--regions": "objects", "--region-limit": "5",
            "--dry-run": FLAG, "--patience": "7", "--report": "r.jsonl",
            "--json": FLAG, **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_ingest,
        ((), ("--reindex", "SOURCE"), ("--dry-run", "SOURCE")),
        needs_of_ingest,
        base_of_ingest,
    ),
    "clip-ingest backup": Case(
        {
            "NAME": "monday", "--collection": "Mine", "--list": FLAG, "--backend": "s3", "--json": FLAG, **WEAVIATE,
        },
        contexts=((), ("--list",)),
    ),
    "clip-ingest restore": Case(
        {"NAME": "monday", "--collection": "Mine", "--backend": "s3", "--json": FLAG, **WEAVIATE},
        needs=lambda _: ("NAME",),
    ),
    "clip-eval run": Case(
        {
            "FOLDER": "f", "--all": FLAG, "--class-names": "names.txt", "--report": "out", "--json": FLAG,
            **STORED, **WEAVIATE, **SIDECAR,
        },
        plan_run,
        (("FOLDER",), ("--collection",)),
    ),
    "clip-eval compare": Case(
        {"FIRST": "emoji", "SECOND": "http://v:1", "FOLDER": "f", "--json": FLAG, "--vectorizer-api-key": "key"},
        plan_compare,
        needs=lambda _: ("FIRST", "SECOND", "FOLDER"),
    ),
    "clip-eval limits": Case(
        {
            "MODEL": "http://v:1", "FOLDER": "f", "--task": "counting", "--language": "zh", "--images": "20",
            "--report": "out", "--json": FLAG, "--vectorizer-api-key": "key",
        },
        plan_limits,
        needs=lambda _: ("MODEL", "FOLDER"),
    ),
    "clip-eval pages": Case(
        {
            "CORPUS": "corpus", "MODELS": "http://v:1", "--limit": "30", "--cache": "kept", "--json": FLAG,
            "--pages": "more",
            "--vectorizer-api-key": "key",
        },
        needs=needs_of_pages,
        base=lambda _: ("CORPUS",),
    ),
    "clip-eval index": Case(
        {
            "--vectors": "100", "--queries": "10", "--quantizer": "rq-8", "--rescore-limit": "5", "--ef": "50",
            "--json": FLAG, **STORED, **WEAVIATE,
        }
    ),
    "clip-vectorizer serve": Case(
        {
            "--model": "model.pt", "--architecture": "ViT-B-32", "--host": "0.0.0.0", "--port": "1",
            "--device": "cuda:0", "--precision": "bf16", "--threads": "2", "--max-batch": "3", "--processes": "4",
            "--log-level": "debug", "--colour": "raw", "--least-decoded": "0.5",
            "--attend-padding": "6", "--grounder": "tiles", "--captioner": "coca:a::b",
        },
        merge_settings,
        needs=lambda names: ("--model",) if "--architecture" in names else (),
    ),
    "clip-vectorizer models list": Case(
        {"WORDS": "vit", "--sort": "top1", "--wide": FLAG, "--json": FLAG, "--random": FLAG}
    ),
    "clip-vectorizer models download": Case(
        {"NAME": "ViT-B-32::openai", "--to": "folder"}, needs=lambda _: ("NAME", "--to")
    ),
    "clip-vectorizer doctor": Case(
        {
            "--model": "model.pt", "--device": "cuda:0", "--precision": "bf16", "--threads": "2", "--max-batch": "3",
            "--seconds": "1",
        }
    ),
    "clip-vectorizer completion": Case({"SHELL": "bash"}),
    "clip-vectorizer train emoji": Case(
        {
            "--work": "w", "--output": "o", "--image-steps": "1", "--restyled-steps": "3", "--text-steps": "2",
            "--naming-steps": "3",
            "--without": "noto",
        },
        needs=lambda _: ("--work", "--output"),
    ),
    "clip-vectorizer train contrastive": Case(
        {
            "SOURCE": "rows.csv", "--output": "o", "--model": "model.pt", "--architecture": "ViT-B-32",
            "--loss": "sigmoid", "--freeze": "image", "--epochs": "3", "--batch": "64", "--chunk": "16",
            "--learning-rate": "0.01", "--weight-decay": "0.2", "--warmup": "5", "--crop": "0.5", "--device": "cuda",
            "--processes": "2", "--precision": "bf16", "--seed": "7", "--validation": "held-out",
            "--validation-share": "0.2",
            "--patience": "3", "--checkpoint-steps": "9", "--interpolate": "0.5", "--path-column": "p",
            "--caption-column": "c", "--resume": FLAG, "--tenant": "t", **WEAVIATE,
        },
        lambda values: ContrastivePlan(**values),
        needs=lambda _: ("SOURCE", "--output", "--model"),
    ),
    "clip-vectorizer train linear-probe": Case(
        {
            "SOURCE": "rows.csv", "--output": "o.npz", "--model": "model.pt", "--architecture": "ViT-B-32",
            "--device": "cuda", "--precision": "bf16", "--test": "held-out", "--test-share": "0.3", "--seed": "7",
            "--path-column": "p", "--label-column": "l", "--tenant": "t", **WEAVIATE,
        },
        lambda values: ProbePlan(**values),
        needs=lambda _: ("SOURCE", "--output", "--model"),
    ),
    "clip-vectorizer train grounding": Case(
        {
            "--work": "w", "--output": "o", "--model": "folder", "--steps": "5", "--batch": "3",
            "--learning-rate": "0.01", "--channels": "32", "--tune": "layer4", "--seed": "7",
            "--calibration": "9", "--pool": "50", "--labels-share": "0.2", "--teacher": "model.pt",
        },
        needs=lambda names: ("--work", "--output", *(["--pool"] if names & {"--labels-share", "--teacher"} else [])),
    ),
    "clip-vectorizer train simclr": Case(
        {
            "SOURCE": "folder", "--output": "o", "--work": "w", "--epochs": "3", "--steps": "5", "--side": "128",
            "--batch": "64", "--temperature": "0.5", "--learning-rate": "0.01", "--device": "cuda",
            "--precision": "bf16", "--seed": "7", "--checkpoint-steps": "9", "--pdf-password": "geheim",
            "--resume": FLAG,
        },
        lambda values: SimclrPlan(**values),
        needs=lambda _: ("SOURCE", "--output"),
    ),
    "clip-gallery": Case(
        {
            "--host": "::1", "--port": "1", "--open": FLAG, "--root": "folder", "--write": FLAG,
            "--searches": "searches.json",
            "--allowed-host": "photos.example", "--password": "secret", "--no-password": FLAG,
            "--consistency": "ONE", **STORED, **WEAVIATE, **SIDECAR,
        }
    ),
    "clip-demo": Case({"--model": "m", "--images": "folder"}),
    "clip-demo up": Case({"--model": "m", "--gallery": FLAG}),
    "clip-demo down": Case({}),
    "clip-demo weaviate": Case({}),
}  # fmt: skip


def list_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something by itself."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name, command
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from list_commands(inner, f"{name} {each}")


MAINS = {
    "clip-search": search,
    "clip-classify": classify,
    "clip-caption": caption,
    "clip-ground": ground,
    "clip-ingest": ingest,
    "clip-eval": evaluate,
    "clip-vectorizer": vectorizer,
    "clip-gallery": gallery,
    "clip-demo": demo,
}
COMMANDS = dict(each for name, main in MAINS.items() for each in list_commands(main, name))


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the samples name."""
    monkeypatch.chdir(tmp_path)
    for variable in (
        "WEAVIATE_URL",
        "WEAVIATE_GRPC_PORT",
        "WEAVIATE_API_KEY",
        "VECTORIZER_URL",
        "VECTORIZER_API_KEY",
        "CLIP_PDF_PASSWORD",
        "CLIP_GALLERY_PASSWORD",
        "CLIP_ALLOW_ADDRESSES",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    np.save("v.npy", np.ones(2, dtype=np.float32))
    SavedSearches(Path("searches.json")).add(SavedSearch("red", "collection=Mine&q=red+apple&where=label%3Dx"))
    Path("folder").mkdir()
    with ReportFile(Path("report.jsonl"), lambda _: None) as report:
        report(IngestReport(), ItemOutcome("x", Status.FAILED, "", "/b"))


def test_every_command_and_option_has_a_sample() -> None:
    declared = {
        name: {typed_name(each) for each in command.params} - {"--version"} for name, command in COMMANDS.items()
    }
    assert {name: set(case.samples) for name, case in CASES.items()} == declared


def make_plan(name: str, options: frozenset[str]) -> str | Exception:
    """What the command does with these options, as text; or why it refuses them."""
    case, command = CASES[name], COMMANDS[name]
    words: list[str] = []
    for each in sorted(options):  # "--option" before "ARGUMENT"
        if each.startswith("-"):
            words += [each, *([value] if (value := case.samples[each]) else [])]
    arguments = [typed_name(each) for each in command.params if isinstance(each, click.Argument)]
    words += ["--", *(word for each in arguments if each in options for word in str(case.samples[each]).split())]
    try:
        return repr(case.plan(command.make_context(name, words).params))
    except (click.UsageError, VectorizerError) as error:
        return error


def is_refusal(error: Exception, pair: tuple[str, str]) -> bool:
    sentence = str(error)
    assert getattr(error, "exit_code", None) == 2, f"{pair}: {sentence}"
    return any(option in sentence for option in pair) and ("remove" in sentence or "add" in sentence)


def find_ignored(name: str, pair: tuple[str, str], context: tuple[str, ...], options: frozenset[str]) -> Iterator[str]:
    plan = make_plan(name, options)
    if isinstance(plan, Exception):
        if not is_refusal(plan, pair) and not any(each in str(plan) for each in context):
            yield f"{sorted(options)}: {plan}"
        return
    for each in pair:
        if pair not in REDUNDANT and make_plan(name, options - {each}) == plan:
            yield f"{sorted(options)}: {each} is ignored"


@pytest.mark.parametrize("name", CASES)
def test_each_pair_of_options_works_together_or_is_refused(name: str) -> None:
    case = CASES[name]
    wrong: list[str] = []
    for context in case.contexts:
        for pair in combinations(case.samples, 2):
            given = frozenset((*pair, *context))
            for extend in (case.base or case.needs, case.needs):
                wrong += find_ignored(name, pair, context, given.union(extend(given)))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("clip-ingest x --reindex --watch", "--reindex does not work with --watch"),
        ("clip-ingest x --reindex --prune --limit 3", "remove --limit and --prune"),
        ("clip-ingest --reindex --exif", "without SOURCE it reads only images that the database stores; remove --exif"),
        ("clip-ingest x --inference-url http://i:1", "--inference-url works only with --reindex"),
        ("clip-ingest x -0", "-0 is about paths on standard input; add - as a SOURCE, or remove it"),
        ("clip-ingest x --path-column url", "--path-column is about tables; add a table as a SOURCE (.csv, ...)"),
        ("clip-ingest https://h/x.png - --path-column url", "--path-column is about tables"),
        ("clip-ingest x photos/*.png --root /photos", "add one of these as a SOURCE, or remove it"),
        ("clip-ingest x --vectorizer-api-key k", "add --vectorizer-url or --embed client"),
        ("clip-ingest x --ray local --embed module", "--ray does not work with --embed"),
        ("clip-ingest x --ray local --watch", "--ray does not work with --watch: Ray cannot distribute it"),
        ("clip-ingest x --ray local --prune", "--ray does not work with --prune"),
        ("clip-ingest x --ray local --limit 3", "--ray does not work with --limit"),
        ("clip-ingest x --ray local --dry-run", "--ray does not work with --dry-run"),
        ("clip-ingest x --prune --limit 3", "--prune does not work with --limit: it needs the whole source"),
        ("clip-ingest x --prune --shard 1/2", "--prune does not work with --shard"),
        ("clip-ingest x --reindex --dry-run --inference-url http://i:1", "remove --inference-url"),
        ("clip-classify --labels a,b --shots 3", "--shots works only with --few-shot or --linear-probe"),
        ("clip-classify --labels a,b a.png --tenant t", "remove --tenant"),
        ("clip-classify --labels a,b --strategy labels a.png", "remove it to classify FILES"),
        ("clip-classify --labels a,b --strategy images --few-shot label", "plain cosines"),
        ("clip-search red --allow-address localhost", "--allow-address works only with --image"),
        ("clip-classify --labels a,b --allow-address all", "--allow-address works only with FILES"),
        ("clip-ground https://x/a.png cat --tenant t", "no stored image is read; --stored reads one; remove --tenant"),
        ("clip-ground --stored https://x/a.png cat --allow-address all", "IMAGE is none; remove it"),
        ("clip-search --list --thumbnails", "add --json"),
        ("clip-search --list red", "--list does not work with TEXT"),
        ("clip-search red --similar-strings x.txt --tenant t", "remove --tenant"),
        ("clip-search red --similar-strings property:label --vectorizer-url http://v:1", "remove --vectorizer-url"),
        ("clip-eval run f --tenant t", "--tenant"),
        ("clip-eval index --quantizer none --rescore-limit 3", "rq-8 and rq-1 only; remove it"),
        ("clip-eval compare emoji emoji f --vectorizer-api-key k", "remove it"),
        ("clip-eval limits emoji f --vectorizer-api-key k", "remove it"),
        ("clip-eval pages corpus emoji --vectorizer-api-key k", "none of MODELS is an address; remove it"),
        ("clip-eval limits emoji f --task digits", "FOLDER is not used"),
        ("clip-eval limits emoji --task digits --images 3", "--images is about the images of a folder"),
        ("clip-vectorizer serve --model emoji --architecture ViT-B-32", "remove it"),
        ("clip-vectorizer serve --model ViT-B/32 --architecture ViT-B-32", "remove it"),
        (
            "clip-vectorizer train linear-probe x --output o.npz --model emoji --label-column l",
            "--label-column is about tables and collections",
        ),
        ("clip-classify --linear-probe x.npz --labels a,b", "a probe in a file has its own labels"),
        (
            "clip-vectorizer train contrastive x --output o --model emoji --path-column p",
            "--path-column is about tables",
        ),
        (
            "clip-vectorizer train contrastive weaviate:Image --output o --model emoji --path-column p",
            "--path-column is about tables",
        ),
        (
            "clip-vectorizer train contrastive x --output o --model emoji --tenant t",
            "--tenant is about collections; name weaviate:COLLECTION as the source, or remove it",
        ),
        ("clip-vectorizer train contrastive x --output o --model emoji --chunk 256", "smaller than --batch; remove it"),
        (
            "clip-vectorizer train contrastive x --output o --model emoji --processes 2 --device cuda:1",
            "have a device each; use --device cuda, or cpu",
        ),
        (
            "clip-vectorizer train contrastive x --output o --model emoji --validation-share 0 --patience 2",
            "--patience needs images held out; remove it",
        ),
        ("clip-vectorizer serve --model emoji --attend-padding 6", "give --model taiyi:TEXT,IMAGE, or remove it"),
        ("clip-vectorizer serve --model taiyi:a,b --architecture ViT-B-32", "remove it"),
        ("clip-ingest x --ray --regions grid", "--ray has no value: --regions follows it; write --ray ADDRESS, or"),
        ("clip-ingest --report --json x", "or --report=--json if that is the value"),
        ("clip-search owl --where --json", "--where has no value: --json follows it"),
        ("clip-search owl --regions --group-by label", "remove --group-by, or remove --regions"),
    ],
)
def test_an_option_without_effect_is_refused_with_what_to_do(line: str, sentence: str) -> None:
    name = max((each for each in COMMANDS if line.startswith(f"{each} ")), key=len)
    with pytest.raises(click.UsageError) as caught:
        COMMANDS[name].make_context(name, line.removeprefix(name).split())
    assert sentence in str(caught.value) and caught.value.exit_code == 2
