"""A model that is meant to do harm: looking at it, and using it, costs a moment and no memory, and says why."""

import json
import time

import psutil
import pytest
from conftest import PATIENCE_S, STARTER, costs_at_most, rest_slow

from benchmarks.library import make_model
from studio.chat.evaluation.smoke_test import SmokeTests
from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.processes import limited
from studio.core.workspace import Workspace
from studio.datasets.encoding import row_encoder
from studio.inference.inference_service import InferenceService
from studio.models.chat_template_match import template_match
from studio.models.hub.download import Downloads
from studio.models.library import library, model_config, tokenizer_files
from studio.models.memory import fit, model_shape
from studio.models.models_context import ModelsContext
from studio.models.page.disk import inside, memory_fit, model_head, model_list
from studio.models.weights import plausible
from studio.monitor.history import Monitor
from studio.train.recipe import recipes
from studio.web.html import render

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = {
    "endless": ENDLESS,
    "large": "{{ 'x' * 30000000000 }}",
    "doubling": "{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "power": "{{ 9 ** (9 ** 9) }}",
}
CONFIGS = {
    "layers": {"num_hidden_layers": 10**12},
    "layers that the weights have not": {"num_hidden_layers": 5_000},
    "hidden": {"hidden_size": 10**9},
    "vocabulary": {"vocab_size": 10**8},
    "heads": {"num_attention_heads": 10**6},
    "digits": {"num_hidden_layers": 10**400},
    "float": {"num_hidden_layers": 1e12},
    "experts": {"num_local_experts": 10**7},
    "nested": {"vision_config": {"depth": 10**9}},
    "list": {"layer_types": ["full_attention"] * 200_000},
    "inner": {"text_config": {"num_hidden_layers": 10**9}},
    "other name": {"n_layer": 10**10},
    "intermediate": {"intermediate_size": 2**24},
}


@pytest.fixture
def empty(tmp_path) -> Workspace:
    return Workspace(tmp_path / "w").prepare()


@pytest.fixture
def context(empty) -> ModelsContext:
    jobs = Jobs(empty)
    return ModelsContext(
        empty, jobs, Downloads(empty, jobs), Monitor(empty.root), lambda _: None, lambda _: 0, lambda _: 0
    )


def with_config(folder, **more):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    return folder


def with_template(folder, source):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": source}))
    return folder


@pytest.mark.parametrize("kind", rest_slow(*TEMPLATES))
def test_a_hostile_chat_template_costs_the_page_a_moment_and_is_told(context, kind):
    for number in range(2):
        make_model(context.workspace.models / f"good-{number}", hidden=256)
    with_template(make_model(context.workspace.models / f"odd-{kind}", hidden=256), TEMPLATES[kind])
    before, words, slowest, until = psutil.Process().memory_info().rss, Words("en"), 0.0, time.monotonic() + PATIENCE_S
    told = False
    while not told and time.monotonic() < until:
        began = time.monotonic()
        html = (
            render(model_list.TEMPLATE, words, model_list.model_list(context, ""))
            + render(model_head.TEMPLATE, words, model_head.model_head(context, f"odd-{kind}"))
            + render(inside.TEMPLATE, words, inside.inside(context, f"odd-{kind}"))
        )
        slowest = max(slowest, time.monotonic() - began)
        # beside the template, and where it would be shown rendered; then on the row too
        told = html.count("and was stopped") == 2 and "dot failed" in html
        time.sleep(0.1)
    assert told and slowest < 5  # the seconds that the template is given
    assert f"chat_template of odd-{kind} took more than" in html
    assert "已中止" in render(model_head.TEMPLATE, Words("zh"), model_head.model_head(context, f"odd-{kind}"))
    assert psutil.Process().memory_info().rss - before < 400 * 2**20
    choice = template_match.of(context.workspace.models / f"odd-{kind}", f"odd-{kind}", "llama")
    assert choice.fault is not None and choice.compared


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_that_claims_what_no_weights_can_fill_is_a_fault_told_at_once(context, kind):
    make_model(context.workspace.models / "odd", hidden=256)
    with_config(context.workspace.models / "odd", **CONFIGS[kind])
    before = psutil.Process().memory_info().rss
    model = library.find(context.workspace, "odd")
    assert model.faults and model.faults[0].key in plausible.KEYS, model.faults
    for language in LANGUAGES:
        words = Words(language)
        assert "config.json" in words.tell(model.faults[0])
        html = render(model_list.TEMPLATE, words, model_list.model_list(context, "")) + render(
            model_head.TEMPLATE, words, model_head.model_head(context, "odd")
        )
        assert memory_fit.memory_fit(words, context, "odd") is None
        assert "dot failed" in html and "config.json" in html
    for use in (
        lambda: SmokeTests(context.workspace, DeviceLease()).run("odd", "hi"),
        lambda: InferenceService(context.workspace, DeviceLease()).load(["odd"]),
        lambda: recipes.complete(context.workspace, {"model_name_or_path": "odd"}, recipes.Machine("cpu", True)),
        lambda: row_encoder.RowEncoder(
            model.path, {"file_name": "x"}, context.workspace.data, "sft", {"template": "llama3"}
        ),
    ):
        with pytest.raises(Problem) as told:
            use()
        assert told.value.key in plausible.KEYS, told.value
    assert psutil.Process().memory_info().rss - before < 300 * 2**20


def test_no_published_model_is_taken_for_one(empty):
    assert plausible.fault(model_config.read(STARTER)[0], model_shape._tensors(STARTER), 269_060_552) is None
    # the largest of their kinds as their configs have it: layers, hidden, inner, heads, vocabulary, experts, bytes on
    # disk
    published = {
        "DeepSeek-V3": (61, 7168, 18432, 128, 129280, 256, 688e9),
        "Llama-3.1-405B": (126, 16384, 53248, 128, 128256, 0, 812e9),
        "Kimi-K2": (61, 7168, 18432, 64, 163840, 384, 1030e9),
        "gemma-3-27b": (62, 5376, 21504, 32, 262208, 0, 54e9),
        "Qwen3-235B-int4": (94, 4096, 12288, 64, 151936, 128, 124e9),
        "bitnet-2B": (30, 2560, 6912, 20, 128256, 0, 1.2e9),
        "SmolLM2-135M": (30, 576, 1536, 9, 49152, 0, 269e6),
    }
    for layers, hidden, inner, heads, vocabulary, experts, size in published.values():
        claimed = {
            "num_hidden_layers": layers,
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_attention_heads": heads,
            "vocab_size": vocabulary,
            "n_routed_experts": experts,
            "max_position_embeddings": 10_485_760,
            "rope_theta": 5e11,
            "model_max_length": 131072,
            "layer_types": ["full_attention"] * layers,
            "image_token_id": 255999,
            "moe_intermediate_size": 2048,
        }
        assert plausible.fault(claimed, {}, int(size)) is None


def test_a_tokenizer_that_takes_too_long_is_not_loaded_here(empty):
    folder = make_model(empty.models / "slow", hidden=256)
    said = json.loads((STARTER / "tokenizer.json").read_text())
    # a rule that goes back and forth over a run of one letter
    said["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(?:(a+)+)+(?=b)"},
        "behavior": "Isolated",
        "invert": False,
    }
    (folder / "tokenizer.json").write_text(json.dumps(said))
    try:
        limited.call(
            "studio.models.library.tokenizer_trial:try_tokenizer",
            str(folder),
            limits=limited.Limits(file="tokenizer.json", of="slow", seconds=3, mib=2048),
        )
    except Problem as problem:
        assert problem.key in ("limited.too_slow", "limited.waited")


def test_a_good_tokenizer_passes_and_is_tried_once(empty):
    assert tokenizer_files.require_loadable(STARTER) is True
    with costs_at_most(0.05):
        assert tokenizer_files.require_loadable(STARTER) is True
    assert tokenizer_files.require_loadable(empty.models / "nothing") is True


def test_hostile_sizes_do_not_break_the_estimate(empty):
    folder = with_config(make_model(empty.models / "odd", hidden=256), num_hidden_layers=10**400)
    try:
        fit.table(folder, 2**34, fit.Plan(device="cpu"))
    except Problem as problem:
        assert str(problem)
