"""The cockpit in a real browser: history, comparison, settings, recipes from elsewhere, faults at their field."""

import json
import time

import pytest
import yaml
from conftest import Server, new_workspace, wait_for
from playwright.sync_api import expect

from studio.train import runs


def made_up(workspace, name, rate, losses, state="finished", **events):
    """Make a run as the recorder leaves it."""
    run = runs.make(workspace, "SmolLM2-135M-Instruct", "lora", name)
    run.info_file.write_text(json.dumps({"created": time.time()}))
    recipe = {"model_name_or_path": "SmolLM2-135M-Instruct", "dataset": "identity_en", "learning_rate": rate, "per_device_train_batch_size": 8,
              "finetuning_type": "lora", "output_dir": str(run.folder)}
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    run.say("state", state="preparing")
    run.say("facts", examples=9, epochs=1, batch=8, step=0, total_steps=len(losses), trainable=10, parameters=1000, device="cpu")
    for step, loss in enumerate(losses, 1):
        run.say("metrics", step=step, epoch=step / len(losses), values={"loss": loss, "learning_rate": rate})
    for event, facts in events.items():
        run.say(event, **facts)
    run.say("state", state=state)
    return run


@pytest.fixture(scope="module")
def cockpit(tmp_path_factory):
    workspace = new_workspace(tmp_path_factory.mktemp("cockpit") / "workspace")
    made_up(workspace, "steep", 1e-3, [3 / step for step in range(1, 31)], probe={"step": 30, "question": "Who are you?", "answer": "I am Xiaoju."},
            warning={"step": 30, "key": "train.warn_flat", "facts": {"steps": 60, "loss": 0.1}})
    made_up(workspace, "gentle", 1e-4, [3 - step / 20 for step in range(1, 31)])
    made_up(workspace, "heavy", 1e-4, [3.0], state="failed", error={"key": "train.out_of_memory", "facts": {}, "sentence": "x"})
    running = Server(workspace.root)
    yield running
    running.stop()


@pytest.fixture
def page(browser, cockpit):
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
    page.goto(cockpit.url)
    expect(page.locator('[data-pick^="run:Smol"]').first).to_be_visible(timeout=30_000)
    yield page
    page.context.close()


def choose(page, name):
    page.locator(f'[data-pick$="/{name}-1"]').first.click()
    expect(page.locator(".live-run h2")).to_have_text(f"{name}-1")


def test_a_run_shows_its_warning_and_what_the_model_answered(page):
    choose(page, "steep")
    expect(page.locator(".warning")).to_contain_text("Is it done?")
    page.get_by_role("button", name="Samples").click()
    expect(page.locator(".samples")).to_contain_text("I am Xiaoju.")
    page.get_by_role("button", name="Recipe and command").click()
    expect(page.locator(".live-recipe")).to_contain_text("llamafactory-cli train")


def test_runs_are_compared_by_curve_and_by_what_differs(page):
    for name in ("steep", "gentle"):
        page.locator(f'[data-tick$="/{name}-1"]').click(force=True)
    page.get_by_role("button", name="Compare selected").click()
    expect(page.locator("table.compare")).to_contain_text("learning_rate", timeout=15_000)
    expect(page.locator("table.compare")).not_to_contain_text("per_device_train_batch_size")
    wait_for(lambda: page.locator(".compare-chart").get_attribute("data-lines") == "2", seconds=15)


def test_the_history_is_searched(page):
    page.get_by_placeholder("Search runs").fill("failed")
    expect(page.locator('[data-pick^="run:Smol"]')).to_have_count(1, timeout=10_000)
    page.get_by_placeholder("Search runs").fill("")
    expect(page.locator('[data-pick^="run:Smol"]')).to_have_count(3, timeout=10_000)


def test_after_a_fault_one_button_fills_the_form_with_the_change(page):
    choose(page, "heavy")
    expect(page.locator(".live-run .problem")).to_contain_text("The memory was not enough")
    page.get_by_role("button", name="Start again with").click()
    expect(page.locator("#train-per_device_train_batch_size input")).to_have_value("4", timeout=60_000)
    expect(page.locator("#train-gradient_accumulation_steps input")).to_have_value("2")
    expect(page.locator("#train-learning_rate input")).to_have_value("0.0001")


def test_any_setting_is_found_and_a_wrong_one_is_told_at_its_field(page):
    page.locator('[data-pick="run:"]').first.click()
    wait_for(lambda: settings_are_there(page), seconds=90, every=3)
    page.locator("#train-search textarea, #train-search input").fill("stabilization")
    box = page.locator('[data-setting="use_rslora"]')
    expect(box).to_be_visible(timeout=15_000)
    box.select_option("true")
    page.locator("#train-search textarea, #train-search input").fill("neftune")
    page.locator('[data-setting="neftune_noise_alpha"]').fill("5")
    page.locator('[data-setting="neftune_noise_alpha"]').blur()
    page.get_by_role("button", name="Preview of the recipe").click()
    expect(page.locator(".cm-content").last).to_contain_text("use_rslora: true", timeout=15_000)
    expect(page.locator(".cm-content").last).to_contain_text("neftune_noise_alpha: 5")


def settings_are_there(page) -> bool:
    header = page.get_by_role("button", name="All settings")
    if not page.locator("#train-search").is_visible():
        header.click()
        page.wait_for_timeout(800)
    if page.locator("#settings-lora").count():
        return True
    header.click()
    return False


def test_a_command_line_fills_the_form_and_a_wrong_one_is_told(page):
    page.locator('[data-pick="run:"]').first.click()
    page.get_by_role("button", name="Load, save and import recipes").click()
    box = page.locator("#train-import textarea")
    box.fill("llamafactory-cli train --stage sft --lora_rank 32 --learning_rate 2e-4 --no_such_thing 1")
    page.locator("#train-import-button").click()
    expect(page.locator("#train-problem .problem")).to_contain_text("no setting no_such_thing", timeout=90_000)
    box.fill("llamafactory-cli train --stage sft --lora_rank 32 --learning_rate 2e-4 --use_dora true")
    page.locator("#train-import-button").click()
    expect(page.locator("#train-lora_rank input")).to_have_value("32", timeout=30_000)
    expect(page.locator("#train-learning_rate input")).to_have_value("0.0002")


def test_a_run_is_deleted_after_a_question(page, cockpit):
    choose(page, "gentle")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.locator('[data-pick$="/gentle-1"]')).to_have_count(0, timeout=10_000)
    assert not (cockpit.workspace / "saves" / "SmolLM2-135M-Instruct" / "lora" / "gentle-1").exists()
