"""Prints what open_clip's own `CoCa.generate` writes for the small models of `coca_files`, as coca.json has it.

`generate` needs BeamSearchScorer, which transformers 5 no longer has, so run it with an earlier one in front:

    pip install --target EARLIER --no-deps transformers==4.49.0 tokenizers==0.21.4 huggingface-hub==0.36.0
    PYTHONPATH=EARLIER:. python -m tests.models.captioning.record_coca > coca.json
"""

import json

import open_clip
import torch
from open_clip.coca_model import CoCa
from open_clip.transform import PreprocessCfg, image_transform_v2

from tests.models.captioning.coca_files import PICTURES, SEEDS, SIDE, build_coca, noise

START, END, PADDING = 49406, 49407, 0


def generate(model: CoCa) -> list[str]:
    transform = image_transform_v2(PreprocessCfg(size=SIDE), is_train=False)
    rows = model.generate(torch.stack([transform(noise(each)) for each in PICTURES]))
    return [open_clip.decode(row[(row != START) & (row != END) & (row != PADDING)]) for row in rows]


if __name__ == "__main__":
    captions = {str(seed): [each.strip() for each in generate(build_coca(seed))] for seed in SEEDS}
    print(json.dumps(captions, indent=1, ensure_ascii=False))  # noqa: T201 - a script
