"""The table of models against open_clip itself: names, sizes, OpenAI's spellings, the model for production."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.models_page import PAGES, TOWERS, render_tables
from benchmarks.page_sections import fill_sections, list_sections
from clip_vectorizer.defaults import PRODUCTION_MODEL
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY
from clip_vectorizer.models.facts import (
    EMOJI_NAME,
    ModelFacts,
    find_best_value,
    is_cached,
    list_front,
    load_facts,
    read_architectures,
    read_facts,
)
from clip_vectorizer.models.names import OPENAI_NAMES, TAG, resolve_architecture, resolve_name
from tests.documents import REPOSITORY, page

FACTS = {facts.name: facts for facts in read_facts()}
BUILT = {facts.architecture: facts for facts in read_architectures()}
MEGA = 10**6

# open_clip's model_profile.csv: parameters in millions, GFLOP of an image and of a text.
PUBLISHED = {
    "RN50": (102.01, 12.22, 5.96),
    "RN50x64": (623.26, 529.11, 23.55),
    "ViT-B-32": (151.28, 8.82, 5.96),
    "ViT-L-14": (427.62, 162.03, 13.3),
    "ViT-H-14": (986.11, 334.59, 47.09),
    "coca_ViT-L-14": (638.45, 163.64, 13.3),
    "convnext_base_w": (179.39, 40.11, 9.27),
    "EVA02-L-14-336": (428.08, 381.86, 13.3),
    "ViT-B-16-SigLIP-i18n-256": (370.63, 46.82, 11.02),
}
# Radford et al. 2021, table 11: ImageNet without training, in per cent; and the file that OpenAI published.
OPENAI = {
    "RN50": (59.8, "RN50.pt"),
    "RN101": (62.3, "RN101.pt"),
    "RN50x4": (66.3, "RN50x4.pt"),
    "RN50x16": (70.7, "RN50x16.pt"),
    "RN50x64": (73.9, "RN50x64.pt"),
    "ViT-B/32": (63.3, "ViT-B-32.pt"),
    "ViT-B/16": (68.3, "ViT-B-16.pt"),
    "ViT-L/14": (75.5, "ViT-L-14.pt"),
    "ViT-L/14@336px": (76.6, "ViT-L-14-336px.pt"),
}
SPELLINGS = {
    spelling: name
    for openai, name in OPENAI_NAMES.items()
    for spelling in (openai, f"{openai}{TAG}openai", name, name.replace(TAG, f"-quickgelu{TAG}"))
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of a batch norm: stored, but not parameters
LOADS = """
import json, logging
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
logging.disable(logging.CRITICAL)
errors = {}
for name in %r:
    try:
        load_encoder(ModelName(name), Placement())
    except ModelUnavailable as error:
        errors[name] = str(error)
print(json.dumps(errors))
"""


def test_the_table_has_all_pretrained_models_of_open_clip_in_its_order() -> None:
    names = [f"{architecture}{TAG}{tag}" for architecture, tag in open_clip.list_pretrained()]
    assert list(FACTS) == [EMOJI_NAME, *names], "run benchmarks/model_facts.py and benchmarks/models_page.py"
    assert load_facts()["open_clip"] == open_clip.__version__


def test_the_table_has_nearly_all_architectures() -> None:
    shipped = {file.stem for file in Path(open_clip.__file__).with_name("model_configs").glob("*.json")}
    missing = shipped - set(BUILT)  # list_models() would have what other tests add
    assert all("hf_model_name" in open_clip.get_model_config(name)["text_cfg"] for name in missing)
    assert len(missing) < 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_counted_is_what_open_clip_publishes(name: str) -> None:
    facts = BUILT[name]
    assert (facts.parameters / MEGA, facts.image_gflop, facts.text_gflop) == pytest.approx(PUBLISHED[name], rel=0.002)


@pytest.mark.parametrize("short", TOWERS)
def test_a_built_vision_transformer_has_the_shape_of_the_page(short: str) -> None:
    with torch.device("meta"):
        model: Any = open_clip.create_model(TOWERS[short], None, device="meta")
    visual, block = model.visual, model.visual.transformer.resblocks[0]
    shape = [
        visual.conv1.kernel_size[0],
        len(visual.transformer.resblocks),
        block.attn.embed_dim,
        block.mlp.c_fc.out_features,
        block.attn.num_heads,
        len(visual.positional_embedding),
    ]
    millions = [f"{count_parameters(each) / MEGA:.1f}" for each in (visual, model)]
    [row] = [row for row in page("docs/models.md").section("Vision transformers").table("ViT") if row[0] == short]
    assert row[1:] == [f"`{TOWERS[short]}`", *(str(each) for each in shape), *millions]


def count_parameters(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_the_tables_of_the_pages_are_current() -> None:
    tables = render_tables(read_facts())
    texts = [file.read_text(encoding="utf-8") for file in PAGES]
    assert [fill_sections(text, tables) for text in texts] == texts, "run benchmarks/models_page.py"
    assert {*tables} <= {name for text in texts for name in list_sections(text)}


def test_a_section_of_another_script_stays() -> None:
    text = "".join(f"<!-- {name}: begin; a command -->\nold\n<!-- {name}: end -->\n" for name in ("front", "speed"))
    filled = fill_sections(text, {"front": "new"})
    assert filled == text.replace("old", "\nnew\n", 1)
    assert fill_sections(filled, {"front": "new", "towers": "of no section"}) == filled


@pytest.mark.parametrize("spelling", OPENAI)
def test_openais_name_is_openais_model(spelling: str) -> None:
    architecture, _, tag = resolve_name(spelling).partition(TAG)
    entry = open_clip.get_pretrained_cfg(architecture, tag)
    top1, file = OPENAI[spelling]
    assert Path(entry["url"]).name == file
    assert entry["quick_gelu"] is True
    facts = FACTS[resolve_name(spelling)]
    assert facts.top1 is not None and 100 * facts.top1 == pytest.approx(top1, abs=0.11)
    assert facts.licence == "MIT"


def test_every_spelling_of_the_nine_finds_its_weights(tmp_path: Path) -> None:
    """Without a network, in an empty cache: the error names the model and the place of its weights."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)}
    program = LOADS % list(SPELLINGS)
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    errors = json.loads(ran.stdout)
    assert len(SPELLINGS) == 9 * 4 - 5  # a ResNet has the same name in both
    for spelling, name in SPELLINGS.items():
        quick = spelling if "quickgelu" in spelling else name
        place = f"huggingface.co/{FACTS[name].repository}/"
        assert errors[spelling].startswith(f"{quick}: no weights; tried the cache and {place} ")


def test_other_names_stay_as_they_are() -> None:
    names = [name for name in FACTS if "/" not in name]
    assert len(names) == len(FACTS)
    assert [resolve_name(name) for name in names] == names
    for other in ("hf-hub:ORG/NAME", "local-dir:/models/RN50", "./RN50", "ViT-B-32", "vit-b/32", ""):
        assert resolve_name(other) == other
    assert resolve_name("ViT-B/32::laion2b_e16") == "ViT-B-32::laion2b_e16"


@pytest.mark.parametrize("name", OPENAI_NAMES)
def test_an_architecture_may_have_openais_spelling(name: str) -> None:
    architecture = resolve_architecture(name)
    config = open_clip.get_model_config(architecture)
    assert config is not None
    assert bool(config.get("quick_gelu")) == ("/" in name)  # a ResNet's name is open_clip's too, with GELU
    assert resolve_architecture(architecture) == architecture


def test_the_model_for_production_is_the_best_value_of_the_table() -> None:
    best = find_best_value(list(FACTS.values()))
    assert best.name == PRODUCTION_MODEL
    assert best.is_free
    text = page("docs/models.md").section("Which one").text
    assert f"`{best.name}`" in text and f"| **`{best.name}`** |" in text


def test_every_step_of_the_front_costs_more_and_is_better() -> None:
    front = list_front(list(FACTS.values()))
    assert len(front) > 5
    assert all(a.gflop < b.gflop and a.points < b.points for a, b in pairwise(front))


def test_a_figure_has_a_source_and_a_licence_too() -> None:
    models = list(FACTS.values())
    assert all((model.top1 is None) == (model.top1_source == "") for model in models)
    assert all((model.licence == "") == (model.licence_source == "") for model in models)
    assert sum(model.top1 is not None for model in models) > 120


def test_what_cannot_be_counted_is_empty() -> None:
    """open_clip's profile has a text of 514 tokens there, and 77 are served."""
    facts = BUILT["xlm-roberta-large-ViT-H-14"]
    assert (facts.parameters / MEGA, facts.image_gflop) == pytest.approx((1193.01, 334.59))
    assert facts.gflop is None


def test_weights_under_two_names_have_one_figure() -> None:
    for name, facts in FACTS.items():
        plain = name.replace("-quickgelu", "")
        if plain in FACTS:
            assert facts.top1 == FACTS[plain].top1


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ViT-B-32::openai", "models--timm--vit_base_patch32_clip_224.openai/snapshots/a/open_clip_model.safetensors"),
        ("ViT-B-32::openai", "models--timm--vit_base_patch32_clip_224.openai/snapshots/a/open_clip_pytorch_model.bin"),
        ("ViTamin-S::datacomp1b", "models--jienengchen--ViTamin-S/snapshots/b/pytorch_model.bin"),
        ("ViTamin-S::datacomp1b", "models--jienengchen--ViTamin-S/snapshots/b/pytorch_model.safetensors"),
    ],
)
def test_weights_in_the_hubs_store_are_cached(name: str, file: str, tmp_path: Path) -> None:
    facts = FACTS[name]
    assert not is_cached(facts, tmp_path, tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    assert not is_cached(facts, tmp_path, tmp_path)
    (tmp_path / file).write_bytes(b"weights")
    assert is_cached(facts, tmp_path, tmp_path)
    assert not is_cached(FACTS["RN50::openai"], tmp_path, tmp_path)


def test_the_bundled_model_is_always_there(tmp_path: Path) -> None:
    emoji: ModelFacts = FACTS[EMOJI_NAME]
    assert is_cached(emoji, tmp_path, tmp_path)
    config = json.loads((EMOJI_DIRECTORY / "open_clip_config.json").read_text())
    shape = config["model_cfg"]
    assert (emoji.dimension, emoji.context) == (shape["embed_dim"], shape["text_cfg"]["context_length"])
    assert emoji.resolution == shape["vision_cfg"]["image_size"]
    weights = load_file(EMOJI_DIRECTORY / "open_clip_model.safetensors")
    counted = sum(value.numel() for name, value in weights.items() if not name.endswith(BUFFERS))
    assert emoji.parameters == counted, "run benchmarks/model_facts.py and benchmarks/models_page.py"
