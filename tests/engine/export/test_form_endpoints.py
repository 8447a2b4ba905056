"""The endpoints of GGUF files, quantised weights and costs, called by their names on a studio with real models."""

import html
import shutil

import pytest
import yaml
from conftest import SMALL, is_sentence, slow
from endpoint_calls import by_name, closing_studio, over, refused
from export_files import exported, formed

from studio.core.i18n import LANGUAGES, Words
from studio.core.sentences import Sentence
from studio.deploy import served_source
from studio.export import model_forms
from studio.export.cost import cost_plan
from studio.export.gguf import gguf_plan
from studio.export.page import form_sources
from studio.export.page.exported.costs_view import costs_view


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@slow
def test_weights_are_quantised_and_compared_by_endpoints(studio, call):
    status = over(call, call.export_quantize(SMALL, None, {"method": "bnb-8bit", "name": "eight"})["job"])
    assert status["state"] == "finished", status["error"]
    assert status["result"]["name"] == "eight" and status["result"]["verified"]["answer"] is not None
    (form,) = call.export_forms(SMALL)
    assert (form["type"], form["folder"], form["file"], form["cost"]) == ("bnb-8bit", "eight", "", None)
    card = studio.workspace.models / "eight" / "README.md"
    head, _, text = card.read_text()[4:].partition("---")
    assert yaml.safe_load(head)["base_model"] == SMALL and "bnb-8bit" in text and "KL" not in text
    damaged = shutil.copytree(studio.workspace.models / "eight", studio.workspace.models / "damaged")
    (damaged / "model.safetensors").write_bytes(b"cut off")
    (damaged / "README.md").write_text("# A person wrote this.\n")
    status = over(call, call.export_cost(SMALL, None, {"dataset": "identity_en"})["job"])
    assert status["state"] == "finished", status["error"]
    whole, *forms = call.export_forms(SMALL)
    eight, broken = sorted(forms, key=lambda form: form["folder"] == "damaged")
    # What cannot be loaded is told in its row, and the others are compared all the same.
    assert broken["cost"] is None and is_sentence(broken["problem"]) and eight["problem"] is None
    assert broken["problem"] in html.unescape(studio.live._draws["export-costs"](Words("en"), "damaged"))
    assert f"{eight['cost']['perplexity']:.2f}" in card.read_text()
    assert (damaged / "README.md").read_text() == "# A person wrote this.\n"
    assert whole["type"] == "16-bit" and whole["cost"]["top1"] == 1.0 and whole["size_bytes"] > eight["size_bytes"]
    assert eight["cost"]["kl"] > whole["cost"]["kl"] and eight["cost"]["rows_from"] == "identity_en"


def test_what_is_asked_wrongly_is_one_sentence(call):
    assert "q9" in refused(call.export_gguf, SMALL, None, {"types": ["q9"]})
    assert "dataset" in refused(call.export_gguf, SMALL, None, {"types": ["iq2_xs"]})
    assert "llm-compressor" in refused(call.export_quantize, SMALL, None, {"method": "awq"})
    refused(call.export_gguf, "nowhere", None)
    refused(call.export_cost, "nowhere", None)
    refused(call.export_forms, "nowhere")


def test_forms_are_listed_and_drawn_in_one_table_and_one_chart(studio):
    exported(studio.workspace, "mine", SMALL, ["x/lora/y"])
    formed(studio.workspace, "mine-GGUF", "mine", {"q8_0": 2**27, "q4_k_m": 2**26})
    for language in LANGUAGES:
        words = Words(language)
        for hand in ("mine", "mine-GGUF"):
            drawn = studio.live._draws["export-costs"](words, hand)
            assert all(one in drawn for one in ("16-bit", "q8_0", "mine-Q4_K_M.gguf", "<svg")), drawn
        assert "mine-GGUF" in studio.live._draws["exports"](words, "q4_k_m")
        assert "q8_0, q4_k_m" in studio.live._draws["export"](words, "mine-GGUF")
    folder = studio.workspace.models / "mine-GGUF"
    forms = model_forms.of_folder(folder)
    fault = Sentence(key="forms.killed")
    first, second = forms.forms
    model_forms.write(folder, forms.model_copy(update={"forms": [first, second.model_copy(update={"fault": fault})]}))
    for language in LANGUAGES:
        assert fault.tell(Words(language)) in studio.live._draws["export-costs"](Words(language), "mine")
    source = served_source.find(studio.workspace, "mine-GGUF/mine-Q4_K_M.gguf")
    assert source.target.name == "mine"  # its prompt is that of the model it was made of
    studio.accelerator.acquire("export:mine-GGUF", 0)
    assert "mine-GGUF" in studio.live._draws["holders"](Words("en"), "")
    studio.accelerator.release("export:mine-GGUF")
    chart = costs_view(studio.export, "mine").chart
    assert len(chart.points) == 3 and chart.points[0].name == "16-bit"


def test_forms_belong_to_a_model_whatever_it_is_called_now(studio, call):
    exported(studio.workspace, "older", SMALL, ["x/lora/y"])
    formed(studio.workspace, "older-GGUF", "older", {"q8_0": 4})
    file = "older-GGUF/older-Q8_0.gguf"
    for name in ("newer", "newest"):
        call.models_rename("older" if name == "newer" else "newer", name)
        for hand in (name, "older-GGUF"):
            found = costs_view(studio.export, hand)
            assert (found.source, [row.type for row in found.forms]) == (name, ["16-bit", "q8_0"])
        assert [one["type"] for one in call.export_forms(name)] == ["16-bit", "q8_0"]
        assert cost_plan.plan(studio.workspace, [name]).source.name == name
        assert name in [one for _, one in form_sources.with_forms(studio.export)]
        assert served_source.find(studio.workspace, file).target.name == name
        # What is made now can go beside what was made under the older name.
        assert gguf_plan.plan(studio.workspace, [name], ["f16"], name="older-GGUF").name == "older-GGUF"
    assert "older" not in [one for _, one in form_sources.with_forms(studio.export)]
    refused(call.export_gguf, SMALL, None, {"types": ["f16"], "name": "older-GGUF"})
    call.models_rename("newest", "older")
    assert costs_view(studio.export, "older-GGUF").source == "older"
