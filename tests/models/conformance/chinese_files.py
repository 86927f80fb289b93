"""Chinese CLIPs as their authors published them: two folders of Taiyi, one of Chinese-CLIP, a file of cn_clip."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from clip_vectorizer.models.catalog import ModelName
from tests.models.chinese_models import ReferenceModel, save_chinese_clip, save_cn_clip, save_taiyi
from tests.models.conformance.agreement import Format, Reference, SavedModel
from tests.models.conformance.transformers_files import build_reference

TAIYI_CONTEXT, CHINESE_CLIP_CONTEXT = 64, 52  # tokens; the small Taiyi has fewer positions than the real one
WIDTH = 128  # of a small model in which pictures differ enough; cn_clip heads have 64
TAIYI_REFERENCE = "`transformers.BertForSequenceClassification`, `CLIPModel`"
CHINESE_CLIP_REFERENCE = "`transformers.ChineseCLIPModel`"


def save_two_folders(folder: Path) -> SavedModel:
    model = save_taiyi(folder)
    reference = build_chinese_reference(model, folder / "image", TAIYI_CONTEXT)
    return SavedModel(ModelName(f"taiyi:{folder}/text,{folder}/image"), reference)


def save_one_folder(half: bool) -> Callable[[Path], SavedModel]:
    def save(folder: Path) -> SavedModel:
        model = save_chinese_clip(folder, half=half, width=WIDTH)
        return SavedModel(
            ModelName(f"chinese-clip:{folder}"), build_chinese_reference(model, folder, CHINESE_CLIP_CONTEXT)
        )

    return save


def save_checkpoint(folder: Path) -> SavedModel:
    model = save_chinese_clip(folder / "transformers", half=True, width=WIDTH)
    file = save_cn_clip(model.text, folder / "clip_cn_vit-b-16.pt")
    reference = build_chinese_reference(model, folder / "transformers", CHINESE_CLIP_CONTEXT)
    return SavedModel(ModelName(f"chinese-clip:{file}"), reference)


def build_chinese_reference(model: ReferenceModel, images: Path, context: int) -> Reference:
    def tokenize(texts: list[str]) -> Tensor:
        ids: Tensor = model.encode_padded(texts, context)["input_ids"]
        return ids

    return build_reference(images, model.image, tokenize, lambda ids: model.encode_ids(ids, attention_mask=ids != 0))


FORMATS = [
    Format("Taiyi, text tower and image tower in two folders", TAIYI_REFERENCE, save_two_folders),
    Format("Chinese-CLIP, `pytorch_model.bin`", CHINESE_CLIP_REFERENCE, save_one_folder(half=False)),
    Format("Chinese-CLIP, float16", CHINESE_CLIP_REFERENCE, save_one_folder(half=True)),
    Format("Chinese-CLIP, checkpoint of `cn_clip`", CHINESE_CLIP_REFERENCE, save_checkpoint),
]
