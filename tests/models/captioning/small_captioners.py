"""Small models that write captions, with weights of no meaning, saved as the real ones are on the hub."""

from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    PreTrainedTokenizerFast,
)

from tests.models.captioning.coca_files import SIDE
from tests.models.grounding.small_grounders import BERT_SPECIAL, WORDS, randomised, save

BERT_CAPTIONS = (*BERT_SPECIAL, "[DEC]", "[ENC]", *WORDS)
BLIP_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
FLORENCE_VISION = {"depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
                   "patch_prenorm": [False, True], "embed_dim": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2],
                   "window_size": 4, "projection_dim": 16}  # fmt: skip
BART = {"model_type": "bart", "vocab_size": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        "max_position_embeddings": 256, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        "decoder_start_token_id": 2, "forced_eos_token_id": 2}  # fmt: skip
FLORENCE_TOKENS = 17  # of an image: 4 x 4 patches, and their mean


def save_blip(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(BERT_CAPTIONS))
    tokenizer = BertTokenizer.from_pretrained(str(folder))
    ids = {"bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}
    text = {
        **BLIP_TOWER,
        "encoder_hidden_size": 16,
        "vocab_size": len(BERT_CAPTIONS),
        "max_position_embeddings": 64,
        **ids,
    }
    config = BlipConfig(text_config=text, vision_config={**BLIP_TOWER, "image_size": SIDE, "patch_size": 8})
    pixels = BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    return save(folder, randomised(BlipForConditionalGeneration(config)), BlipProcessor(pixels, tokenizer))


def save_florence2(folder: Path) -> Path:
    marks = ("<s>", "<pad>", "</s>", "<unk>", "<image>")
    words = {word: number for number, word in enumerate((*marks, *WORDS, "What", "does", "image", "describe", "?"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        extra_special_tokens={"image_token": "<image>"},
    )
    pixels = CLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    pixels.image_seq_length = FLORENCE_TOKENS
    model = Florence2ForConditionalGeneration(
        Florence2Config(text_config=BART, vision_config=FLORENCE_VISION, image_token_id=words["<image>"])
    )
    return save(folder, randomised(model), Florence2Processor(pixels, fast))


CAPTIONERS: dict[str, Callable[[Path], Path]] = {"blip": save_blip, "florence2": save_florence2}
