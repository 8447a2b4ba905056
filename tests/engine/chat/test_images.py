"""Images in the chat, on two tiny models of real kinds: prompts and pixels of LLaMA-Factory's engine, answers of
transformers itself.
"""

from functools import cache
from pathlib import Path

import pytest
from conftest import STARTER, rest_slow

from studio.core.i18n import Problem
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.inference.sampling import Sampling

MODEL = STARTER
GREEDY = Sampling(temperature=0, max_tokens=6)
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.5,
}
SIGHT = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64, "patch_size": 14}


def _tokenizer(marks: list[str]):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    return tokenizer


def _qwen2_vl(folder: Path) -> Path:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    marks = {
        "vision_start": "<|vision_start|>",
        "vision_end": "<|vision_end|>",
        "image": "<|image_pad|>",
        "video": "<|video_pad|>",
    }
    tokenizer = _tokenizer(list(marks.values()))
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "rope_parameters": rope, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2},
        **{f"{name}_token_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()},
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    parts = {
        "image_processor": Qwen2VLImageProcessor(),
        "video_processor": Qwen2VLVideoProcessor(),
        "tokenizer": tokenizer,
    }
    Qwen2VLProcessor(**parts, chat_template=tokenizer.chat_template).save_pretrained(folder)
    return folder


def _llava(folder: Path) -> Path:
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = _tokenizer(["<image>"])
    config = LlavaConfig(
        vision_config=SIGHT | {"model_type": "clip_vision_model", "image_size": 56},
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    how = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    LlavaProcessor(
        image_processor=images, tokenizer=tokenizer, chat_template=tokenizer.chat_template, **how
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    import torch

    state, root = torch.get_rng_state(), tmp_path_factory.mktemp("seeing")
    torch.manual_seed(0)
    made = {"qwen2_vl": _qwen2_vl(root / "qwen2_vl"), "llava": _llava(root / "llava")}
    torch.set_rng_state(state)
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[str]:
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    Image.linear_gradient("L").resize((120, 90)).save(folder / "wide.png")
    Image.new("RGB", (70, 140), "red").save(folder / "high.jpg")
    return [str(folder / "wide.png"), str(folder / "high.jpg")]


def _loaded(folder: Path) -> dict:
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_tokenizer

    return load_tokenizer(get_infer_args({"model_name_or_path": str(folder)})[0])


def _engine_inputs(folder: Path, template: str, messages: list[dict], images: list[str]) -> dict:
    """Return what LLaMA-Factory's own engine would give to the model's `generate`."""
    import torch
    from llamafactory.chat.hf_engine import HuggingfaceEngine
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, GeneratingArguments

    class Model:
        device, config, dtype = "cpu", None, torch.float32

    loaded = _loaded(folder)
    form = get_template_and_fix_tokenizer(loaded["tokenizer"], DataArguments(template=template))
    said = [{"role": message["role"], "content": message["content"]} for message in messages]
    made, _ = HuggingfaceEngine._process_args(
        Model,
        loaded["tokenizer"],
        loaded["processor"],
        form,
        GeneratingArguments().to_dict(),
        said,
        None,
        None,
        images or None,
    )
    return made


@cache
def _encoder(folder: Path, template: str) -> PromptEncoder:
    loaded = _loaded(folder)
    return PromptEncoder(loaded["tokenizer"], template, processor=loaded["processor"])


@pytest.mark.parametrize("kind", ["qwen2_vl", "llava"])
@pytest.mark.parametrize("content", rest_slow("Is <image> like <image>? 像吗", "What is it?"))
def test_prompt_and_pixels_are_those_of_llamafactorys_engine(models, images, kind, content):
    import torch

    encoder = _encoder(models[kind], kind)
    assert encoder.sees
    talk = [
        {"role": "user", "content": content, "images": images},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Why?"},
    ]
    prompt, engine = encoder.prompt(talk), _engine_inputs(models[kind], kind, talk, images)
    assert prompt.ids == engine.pop("inputs")[0].tolist()
    pixels = {name: value for name, value in engine.items() if name not in ("attention_mask", "generation_config")}
    assert "pixel_values" in prompt.inputs and prompt.inputs.keys() == pixels.keys()
    assert all(torch.equal(prompt.inputs[name], value) for name, value in pixels.items())


def test_each_image_stands_before_the_text_of_its_own_message(models, images):
    encoder = _encoder(models["qwen2_vl"], "qwen2_vl")
    talk = [
        {"role": "user", "content": "One.", "images": images[:1]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two.", "images": images[1:]},
    ]
    where = [talk[0] | {"content": "<image>One."}, talk[1], talk[2] | {"content": "<image>Two."}]
    assert (
        encoder.encode(talk)
        == encoder.encode(where)
        == _engine_inputs(models["qwen2_vl"], "qwen2_vl", where, images)["inputs"][0].tolist()
    )


@pytest.mark.parametrize("kind", rest_slow("qwen2_vl", "llava"))
def test_a_model_that_sees_answers_as_transformers_does(models, images, kind, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    from studio.inference.local.base_loading import _number_type

    base = ModelTarget("base", models[kind], None, kind)
    model = AutoModelForImageTextToText.from_pretrained(models[kind], dtype=_number_type(base.base)).eval()
    talk = [{"role": "user", "content": "What is it?", "images": images}]
    plain = _reference(model, _encoder(models[kind], kind).prompt(talk))
    tuned = get_peft_model(
        model, LoraConfig(r=4, target_modules=r".*(language_model|text).*q_proj", init_lora_weights=False)
    )
    tuned.save_pretrained(tmp_path / "adapter")
    chat, target = LocalEngine(), ModelTarget("tuned", models[kind], tmp_path / "adapter", kind)
    chat.load([base, target])
    assert chat._targets[base].model.sees
    text = [{"role": "user", "content": "Hello."}]
    *_, answers = chat.compare([base, target, base], [talk, talk, text], None, GREEDY)
    assert [answer.fault for answer in answers] == [None] * 3
    assert answers[0].text == plain and answers[1].tokens
    *_, (alone,) = chat.compare([base], [text], None, GREEDY)
    assert alone.text == answers[2].text  # nothing of the image stays behind
    chat.unload()


def _reference(model, prompt) -> str:
    import torch

    loaded = _loaded(Path(model.config._name_or_path))
    ids = torch.tensor([prompt.ids])
    made = {
        name: value.to(model.dtype) if value.is_floating_point() else value for name, value in prompt.inputs.items()
    }
    if model.config.model_type == "qwen2_vl":
        made["mm_token_type_ids"] = torch.tensor(loaded["processor"].create_mm_token_type_ids([prompt.ids]))
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=GREEDY.max_tokens,
            **made,
        )
    return loaded["tokenizer"].decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_who_does_not_see_says_so(models, images):
    talk = [{"role": "user", "content": "What is it?", "images": images}]
    for folder, template in ((MODEL, "chatml"), (MODEL, "qwen2_vl"), (models["qwen2_vl"], "chatml")):
        encoder = _encoder(folder, template)
        assert not encoder.sees
        with pytest.raises(Problem) as caught:
            encoder.encode(talk)
        assert caught.value.key == "prompt.blind" and template in str(caught.value)
        assert encoder.encode([{"role": "user", "content": "What is it?"}])


def test_what_is_no_image_is_told(models, images, tmp_path):
    encoder = _encoder(models["llava"], "llava")
    (tmp_path / "torn.png").write_bytes(Path(images[0]).read_bytes()[:60])
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    for name in ("torn.png", "text.png", "gone.png"):
        with pytest.raises(Problem) as caught:
            encoder.encode([{"role": "user", "content": "?", "images": [str(tmp_path / name)]}])
        assert caught.value.key == "prompt.bad_image" and name in str(caught.value)
    with pytest.raises(Problem) as caught:
        encoder.encode([{"role": "user", "content": "<image> and <image>?", "images": images[:1]}])
    assert caught.value.key == "prompt.refused"


def test_a_row_whose_image_cannot_be_read_is_one_sentence(models, images, tmp_path):
    from PIL import Image

    from studio.datasets.encoding.row_encoder import RowEncoder

    Image.new("1", (14_000, 13_000)).save(tmp_path / "large.png")
    (tmp_path / "torn.png").write_bytes(Path(images[0]).read_bytes()[:60])
    (tmp_path / "good.png").write_bytes(Path(images[0]).read_bytes())
    columns = {"prompt": "instruction", "response": "output", "images": "images"}
    encoder = RowEncoder(
        models["qwen2_vl"], {"file_name": "a.json", "columns": columns}, tmp_path, "sft", {"template": "qwen2_vl"}
    )
    row = {"instruction": "<image>What is it?", "output": "A fox."}
    assert encoder.encode(row | {"images": ["good.png"]})
    for name in ("large.png", "torn.png"):
        with pytest.raises(Problem) as caught:
            encoder.encode(row | {"images": [name]})
        assert caught.value.key == "tokens.row_fails", name
    counts = encoder.counts([row | {"images": [name]} for name in ("large.png", "torn.png", "good.png")])
    assert [count.whole > 0 for count in counts] == [False, False, True]
