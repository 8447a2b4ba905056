"""The cockpit in a real browser: history, comparison, settings, recipes from elsewhere, faults at their field."""

import json
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from asking import agree
from conftest import SHORT, SMALL, STARTER, rest_slow, slow, wait_for
from playwright.sync_api import expect

from studio.core.workspace import Workspace
from studio.train import runs


def made_up(workspace, name, rate, losses, state="finished", label="", **events):
    """Make a run as the recorder leaves it."""
    run = runs.make(workspace, "SmolLM2-135M-Instruct", "lora", name)
    run.info_file.write_text(json.dumps({"created": time.time(), "label": label}))
    recipe = {
        "model_name_or_path": "SmolLM2-135M-Instruct",
        "dataset": "identity_en",
        "learning_rate": rate,
        "per_device_train_batch_size": 8,
        "finetuning_type": "lora",
        "output_dir": str(run.folder),
    }
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    run.say("state", state="preparing")
    run.say(
        "facts",
        examples=9,
        epochs=1,
        batch=8,
        step=0,
        total_steps=len(losses),
        trainable=10,
        parameters=1000,
        device="cpu",
    )
    for step, loss in enumerate(losses, 1):
        run.say("metrics", step=step, epoch=step / len(losses), values={"loss": loss, "learning_rate": rate})
    for event, facts in events.items():
        run.say(event, **facts)
    run.say("state", state=state)
    return run


@pytest.fixture(scope="module")
def cockpit(server):
    """The shared studio, with three runs that are over."""
    workspace = Workspace(server.workspace)
    made_up(
        workspace,
        "steep",
        1e-3,
        [3 / step for step in range(1, 31)],
        probe={"step": 30, "question": "Who are you?", "answer": "I am Xiaoju."},
        warning={"step": 30, "key": "train.warn_flat", "facts": {"steps": 60, "loss": 0.1}},
    )
    made_up(workspace, "gentle", 1e-4, [3 - step / 20 for step in range(1, 31)])
    made_up(
        workspace,
        "heavy",
        1e-4,
        [3.0],
        state="failed",
        error={"key": "train.out_of_memory", "facts": {}, "sentence": "x"},
    )
    return server


@pytest.fixture
def page(new_page, cockpit):
    new_page.goto(cockpit.url)
    expect(new_page.locator('[data-pick^="run:Smol"]').first).to_be_visible()
    return new_page


def choose(page, name, model=STARTER.name):
    page.locator(f'[data-pick="run:{model}/lora/{name}-1"]').first.click()
    expect(page.locator(".live-run h2")).to_have_text(f"{name}-1")


def held_by(page, member) -> str:
    """What stands in a field of the form."""
    field = page.locator(f"#train-{member}")
    return field.inner_text() + " ".join(box.input_value() for box in field.locator("input").all())


def test_a_run_shows_its_warning_and_what_the_model_answered(page):
    choose(page, "steep")
    expect(page.locator(".warning")).to_contain_text("Is it done?")
    page.get_by_role("button", name="Samples").click()
    expect(page.locator(".samples")).to_contain_text("I am Xiaoju.")
    page.get_by_role("button", name="Recipe and command").click()
    expect(page.locator(".live-recipe")).to_contain_text("llamafactory-cli train")


def test_runs_are_compared_by_curve_and_by_what_differs(page):
    for name in ("steep", "gentle"):
        box = page.locator(f'[data-tick="{STARTER.name}/lora/{name}-1"]')
        wait_for(lambda box=box: box.is_checked() or box.click(force=True))  # the list may move under a press
    page.get_by_role("button", name="Compare selected").click()
    expect(page.locator("table.compare")).to_contain_text("learning_rate")
    expect(page.locator("table.compare")).not_to_contain_text("per_device_train_batch_size")
    wait_for(lambda: page.locator(".compare-chart").get_attribute("data-lines") == "2")
    over = page.locator(".compare-plot .u-over").bounding_box()
    page.mouse.move(over["x"] + over["width"] / 2, over["y"] + 40)
    expect(page.locator(".compare-plot .chart-box")).to_contain_text(
        re.compile("Step 1[56], smoothed.*steep-1.*gentle-1", re.S)
    )
    page.locator('[data-pick="compare-sort:best_loss"]').click()
    expect(page.locator("table.compare tbody th").first).to_have_text("steep-1")
    expect(page.locator("table.compare tbody tr").first.locator(".best")).not_to_have_count(0)
    taken = {}
    for form in ("svg", "png"):
        page.locator(".drawn h3").hover()
        with page.expect_download() as download:
            page.locator(f".drawn [data-picture={form}]").click()
        taken[form] = Path(download.value.path()).read_bytes()
    drawn = ElementTree.fromstring(taken["svg"])
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 and all(line.get("stroke").startswith("rgb") for line in lines)
    assert taken["png"].startswith(b"\x89PNG") and len(taken["png"]) > 3000


def test_the_history_is_searched(page):
    one, other = (
        page.locator(f'.live-runs [data-pick="run:{STARTER.name}/lora/{name}-1"]') for name in ("heavy", "steep")
    )
    page.get_by_placeholder("Search runs").fill("failed")
    expect(other).to_have_count(0)
    expect(one).to_be_visible()
    page.get_by_placeholder("Search runs").fill("")
    expect(other).to_be_visible()
    expect(one).to_be_visible()


def test_after_a_fault_one_button_fills_the_form_with_the_change(page):
    choose(page, "heavy")
    expect(page.locator(".live-run .problem")).to_contain_text("The memory was not enough")
    page.get_by_role("button", name="Start again with").click()
    expect(page.locator("#train-per_device_train_batch_size input")).to_have_value("4")
    expect(page.locator("#train-gradient_accumulation_steps input")).to_have_value("2")
    expect(page.locator("#train-learning_rate input")).to_have_value("0.0001")


def test_the_boxes_of_a_row_stand_on_one_line(page):
    """Under labels and explanations of one to three lines, numbers and lists alike."""
    page.locator('[data-pick="run:"]').first.click()
    expect(page.locator("#train-learning_rate input")).to_be_visible()
    middles, tops = page.evaluate("""['input', 'label, .container > span, [data-testid=block-info]'].map((part) =>
        ['learning_rate', 'lr_scheduler_type', 'warmup_steps', 'template'].map((field) =>
            document.querySelector(`#train-${field}`).querySelector(part).getBoundingClientRect())
        .map(({ top, bottom }) => part === 'input' ? (top + bottom) / 2 : top))""")
    assert max(middles) - min(middles) < 4, middles
    assert max(tops) - min(tops) > 8, "labels of unlike height: else this shows nothing"


def test_any_setting_is_found_and_a_wrong_one_is_told_at_its_field(page):
    page.locator('[data-pick="run:"]').first.click()
    wait_for(lambda: settings_are_there(page), every=3)
    page.locator("#train-search textarea, #train-search input").fill("stabilization")
    box = page.locator('[data-setting="use_rslora"]')
    expect(box).to_be_visible()
    box.select_option("true")
    page.locator("#train-search textarea, #train-search input").fill("neftune")
    page.locator('[data-setting="neftune_noise_alpha"]').fill("5")
    page.locator('[data-setting="neftune_noise_alpha"]').blur()
    page.get_by_role("button", name="Preview of the recipe").click()
    expect(page.locator(".cm-content").last).to_contain_text("use_rslora: true")
    expect(page.locator(".cm-content").last).to_contain_text("neftune_noise_alpha: 5")


def test_start_is_shut_while_the_recipe_cannot_train_and_opens_when_that_is_mended(page, cockpit):
    page.locator('[data-pick="run:"]').first.click()
    start, box = page.locator("#train-start"), page.locator("#train-per_device_train_batch_size input")
    box.fill("0")
    box.blur()
    expect(start).to_be_disabled()
    expect(page.locator("#train-advice .problem")).to_contain_text("Batch size (per_device_train_batch_size) is 0")
    expect(page.locator("#train-per_device_train_batch_size.wrong")).to_have_count(1)
    file = cockpit.workspace / "data" / "identity_en.json"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text("[{", encoding="utf-8")
        box.fill("4")
        box.blur()
        # The preview may look once between the two: both faults are told then.
        expect(page.locator("#train-advice")).to_contain_text("identity_en.json")
        expect(start).to_be_disabled()
    finally:
        file.write_text(text, encoding="utf-8")
    expect(start).to_be_enabled()  # without a touch: the preview looks again
    expect(page.locator("#train-advice .problem")).to_have_count(0)


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
    box, report = page.locator("#train-import textarea"), page.locator("#train-import-report")
    box.fill("llamafactory-cli train --stage sft --lora_rank 32 --learning_rate 2e-4 --no_such_thing 1")
    page.locator("#train-import-button").click()
    expect(report.locator(".problem")).to_contain_text("no setting no_such_thing")
    box.fill("llamafactory-cli train --stage sft --lora_rank 32 --learning_rate 2e-4 --use_dora true")
    page.locator("#train-import-button").click()
    expect(page.locator("#train-lora_rank input")).to_have_value("32")
    expect(page.locator("#train-learning_rate input")).to_have_value("0.0002")
    expect(page.locator("#train-lora_alpha input")).to_have_value("64")
    # Nothing stands in for the model and the data that it does not name; a choice in the form opens Start again.
    expect(report).to_contain_text("Dataset (dataset): choose one")
    expect(page.locator("#train-start")).to_be_disabled()
    box.fill(
        "model_name_or_path: SmolLM2-135M-Instruct\ndataset: [identity_en, nothing_here]\nlr_scheduler_type:"
        " inverse_sqrt\nval_size: 0.1\nmax_steps: 4\noutput_dir: x"
    )
    page.locator("#train-import-button").click()
    expect(report).to_contain_text("there is no dataset nothing_here")
    expect(report).to_contain_text("output_dir: x: the studio chooses the folder of a run")
    expect(report.locator("[data-go=room-datasets]")).to_be_visible()
    expect(page.locator("#train-val_size input")).to_have_value("0.1")
    # What is not here keeps its name in the form, and Start stays shut until it is here or another is chosen.
    start, data = page.locator("#train-start"), page.locator("#train-dataset")
    expect(data).to_contain_text("nothing_here")
    expect(page.locator("#train-advice .problem")).to_contain_text("nothing_here")
    expect(start).to_be_disabled()
    data.locator("input").click()
    page.keyboard.press("Backspace")  # takes the last one away
    page.keyboard.press("Escape")
    expect(data).not_to_contain_text("nothing_here")
    expect(start).to_be_enabled()
    expect(page.locator(".toast, .toast-body")).to_have_count(0)


@slow
def test_after_a_refusal_nobody_starts_what_the_form_held_before(page):
    page.locator('[data-pick="run:"]').first.click()
    page.get_by_role("button", name="Load, save and import recipes").click()
    box, report, start = (page.locator(f"#train-{name}") for name in ("import textarea", "import-report", "start"))
    advice = page.locator("#train-advice")

    def refuse():
        box.fill("model_name_or_path: a\nexport_dir: b")
        page.locator("#train-import-button").click()
        expect(report.locator(".problem")).to_contain_text("trains nothing")
        expect(advice.locator(".problem")).to_contain_text("is not in the form")
        expect(start).to_be_disabled()

    refuse()
    box.fill("model_name_or_path: a")  # being mended
    page.wait_for_timeout(1000)
    expect(start).to_be_disabled()
    box.fill("")
    expect(start).to_be_enabled()
    expect(report.locator(".problem")).to_have_count(0)
    refuse()
    page.locator("#train-cutoff_len input").fill("77")
    expect(start).to_be_enabled()
    refuse()
    box.fill("model_name_or_path: SmolLM2-135M-Instruct\ndataset: identity_en\ncutoff_len: 78")
    page.locator("#train-import-button").click()
    expect(page.locator("#train-cutoff_len input")).to_have_value("78")
    expect(start).to_be_enabled()
    # The same for what a run or a saved recipe brings.
    page.evaluate("window.studio.handOver('train-given', JSON.stringify({no_such_setting: 1}))")
    expect(page.locator("#train-problem .problem")).to_contain_text("no_such_setting")
    expect(start).to_be_disabled()
    page.locator("#train-cutoff_len input").fill("79")
    expect(start).to_be_enabled()
    expect(page.locator("#train-problem .problem")).to_have_count(0)


@pytest.mark.parametrize(
    ("member", "recipe"),
    rest_slow(
        ("dataset", {"model_name_or_path": "SmolLM2-135M-Instruct", "dataset": "gone_set"}),
        ("dataset", {"model_name_or_path": "SmolLM2-135M-Instruct"}),
        ("model_name_or_path", {"model_name_or_path": "/gone/model", "dataset": "identity_en"}),
        ("template", {"template": "gone"}),
        ("adapter_name_or_path", {"adapter_name_or_path": "/gone/adapter"}),
    ),
)
def test_a_run_used_again_keeps_its_own_words_and_start_shut(page, cockpit, member, recipe):
    whole = {"model_name_or_path": "SmolLM2-135M-Instruct", "dataset": "identity_en"}
    workspace = Workspace(cockpit.workspace)
    run = made_up(workspace, f"again-{member}", 3e-4, [1.0])
    said = recipe if member in ("dataset", "model_name_or_path") else whole | recipe
    run.recipe_file.write_text(yaml.safe_dump(said | {"do_train": True, "finetuning_type": "lora"}))
    choose(page, f"again-{member}")
    page.get_by_role("button", name="Use as a new run").click()
    start, advice = page.locator("#train-start"), page.locator("#train-advice .problem")
    expect(advice).to_have_attribute("data-field", member)
    expect(start).to_be_disabled()
    expect(page.locator("#train-learning_rate input")).to_have_value("0.00005")  # LLaMA-Factory's, as it was trained
    if name := recipe.get(member):
        wait_for(lambda: name in held_by(page, member))
    else:
        expect(page.locator("#train-dataset")).not_to_contain_text("identity_en")


def test_no_late_answer_undoes_a_recipe_that_was_handed_over(page, cockpit):
    """The form is opened and filled by one press: what it asked for as it was opened may come last."""
    gone = {"model_name_or_path": "/gone/model", "dataset": "gone_set", "template": "gone_template"}
    run = made_up(Workspace(cockpit.workspace), "late", 3e-4, [1.0])
    run.recipe_file.write_text(yaml.safe_dump(gone | {"do_train": True, "finetuning_type": "lora"}))
    choose(page, "late")
    held, is_over = [], []

    def answer(route):
        is_now = "gone_set" in (route.request.post_data or "") or is_over
        route.continue_() if is_now else held.append(route)

    page.route("**/gradio_api/run/predict*", answer)
    page.get_by_role("button", name="Use as a new run").click()
    page.wait_for_timeout(3000)  # a recipe that is taken at once is in the form now
    is_over.append(True)
    for route in held:
        route.continue_()
    wait_for(lambda: page.wait_for_timeout(100) or page.locator("#train-cost [data-turn]").count())
    wait_for(lambda: all(value in held_by(page, member) for member, value in gone.items()))
    page.wait_for_timeout(1000)
    assert all(value in held_by(page, member) for member, value in gone.items())


def test_what_is_typed_while_a_value_is_being_suggested_stays(page, cockpit):
    page.locator('[data-pick="run:"]').first.click()
    wait_for(lambda: page.wait_for_timeout(100) or page.locator("#train-cost [data-turn]").count())
    share, best = page.locator("#train-val_size input"), page.locator("#train-load_best_model_at_end input")
    held, is_held = [], False
    page.route("**/gradio_api/run/predict*", lambda route: held.append(route) if is_held else route.continue_())
    expect(share).to_have_value("0")
    best.check()
    expect(share).to_have_value("0.1")  # what is suggested where nobody types
    best.uncheck()
    share.fill("0")
    share.blur()
    page.wait_for_timeout(2000)
    is_held = True
    best.check()
    wait_for(lambda: page.wait_for_timeout(100) or held)
    share.fill("0.3")
    share.blur()
    is_held = False
    for route in held:
        route.continue_()
    page.wait_for_timeout(2000)
    expect(share).to_have_value("0.3")
    assert json.loads(page.locator("#train-draft").locator("textarea, input").input_value())["val_size"] == 0.3


def test_what_happens_is_told_by_the_browser_also_in_the_background(browser, cockpit):
    page = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-US", permissions=["notifications"]
    ).new_page()
    # Chromium without a screen shows no notices: what the page asks to be shown is kept instead.
    page.add_init_script(
        "window.shown = []; window.Notification = class { static permission = 'granted'; static requestPermission ="
        " async () => 'granted'; constructor(title, more) { window.shown.push(title + ': ' + more.body); } };"
        " localStorage.setItem('studio-run', '')"
    )
    page.goto(cockpit.url)
    bell = page.locator("[data-switch=notices]")
    expect(bell).to_have_attribute("aria-pressed", "false")
    with page.expect_response("**/train_notices"):
        bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    made_up(
        Workspace(cockpit.workspace),
        "night",
        1e-3,
        [2.0, 1.0],
        label="Of the night",
        warning={"step": 2, "key": "train.warn_nan", "facts": {"step": 2}},
    )
    wait_for(lambda: len(page.evaluate("window.shown")) == 2)
    assert page.evaluate("window.shown") == [
        "Of the night: The loss is no number since step 2; lower the learning rate, or train in bf16 instead of fp16.",
        "Of the night: Finished after 2 steps, loss 1.",
    ]
    page.context.close()


def test_a_webhook_is_set_tried_and_removed(page, cockpit):
    page.locator('[data-pick="run:"]').first.click()
    page.locator(".label-wrap").filter(has_text="Notices").click()
    form = page.locator("form.webhook")
    form.locator("input").fill("example.com/hook")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("[role=alert]")).to_contain_text("no web address")
    form.locator("input").fill("http://127.0.0.1:9/secret")
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".live-notices")).to_contain_text("Notices go to 127.0.0.1.")
    assert "secret" not in page.locator(".live-notices").inner_html()
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".toast-bad")).to_contain_text("did not take the notice")
    page.locator(".live-notices").get_by_role("button", name="Remove").click()
    expect(page.locator(".live-notices")).not_to_contain_text("Notices go to")


def fill_form(page, **recipe):
    page.locator('[data-pick="run:"]').first.click()
    page.evaluate("text => window.studio.handOver('train-given', text)", json.dumps(recipe))
    expect(page.locator("#train-cutoff_len input")).to_have_value(str(recipe["cutoff_len"]))


def test_the_form_says_what_it_costs_and_what_is_wrong_and_outlives_a_reload(page, cockpit):
    fill_form(page, **SHORT | {"cutoff_len": 61})
    epochs, rate = (page.locator(f"#train-{name} input") for name in ("num_train_epochs", "learning_rate"))
    expect(page.locator("#train-cost")).to_contain_text("3 steps")
    expect(page.locator("#train-run_name").get_by_role("textbox")).to_have_attribute("placeholder", "identity-en-1")
    before = float(rate.input_value())
    rate.press("ArrowUp")
    assert float(rate.input_value()) == 2 * before, "a rate is doubled, not raised by 1"
    rank = page.locator("#train-lora_rank")
    rank.locator("input").fill("0")
    expect(rank).to_have_attribute("data-wrong", re.compile("takes 1 or more"))
    expect(page.locator("#train-start")).to_be_disabled()
    page.locator("#train-lora_rank input").fill("4")
    name = page.locator("#train-run_name").get_by_role("textbox")
    name.fill("steep-1")
    expect(page.locator("#train-start")).to_be_enabled()
    page.locator("[data-switch=language]").click()
    expect(page.locator("#train-start")).to_have_text("开始训练")
    expect(page.locator("#train-lora_rank input")).to_have_value("4")
    assert (float(rate.input_value()), epochs.input_value(), name.input_value()) == (2 * before, "4", "steep-1")
    page.locator("[data-switch=language]").click()
    expect(page.locator("#train-start")).to_have_text("Start")
    expect(page.locator("#train-cost")).to_contain_text("3 steps")
    rate.press("Control+Enter")
    expect(page.locator(".live-run h2")).to_have_text("steep-1")
    expect(page.locator(".live-run .progress")).to_contain_text("finished")
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft-train'))") == []
    page.locator('[data-pick="run:"]').first.click()
    name.fill("steep-1")
    expect(page.locator("#train-run_name")).to_have_attribute("data-wrong", re.compile("already"))
    page.locator("[data-forget]").click()
    expect(page.locator("#train-cost .costs")).to_be_visible()
    expect(name).to_have_value("")


def test_a_sweep_is_shown_and_fills_the_queue_whose_order_can_be_changed(page, cockpit):
    fill_form(page, **SHORT | {"max_steps": 500, "save_steps": 500, "cutoff_len": 60})
    page.get_by_role("button", name="Many runs, many machines").click()
    page.locator("#train-grid textarea").fill("lora_rank: 8, 16\nseed:")
    expect(page.locator("#train-sweep-runs .problem")).to_contain_text("Line 2")
    page.locator("#train-grid textarea").fill("lora_rank: 8, 16\nseed: 1, 2")
    expect(page.locator("#train-sweep-runs li")).to_have_text(
        [f"lora_rank-{rank}-seed-{seed}" for rank in (8, 16) for seed in (1, 2)]
    )
    assert not list((cockpit.workspace / "saves").glob("*/*/*seed*"))
    page.locator("#train-sweep").click()
    waiting = page.locator(".waiting li")
    expect(waiting).to_have_count(3)
    waiting.nth(2).get_by_label("One place earlier").click()
    expect(waiting.locator(".link")).to_have_text(
        ["lora_rank-8-seed-2-1", "lora_rank-16-seed-2-1", "lora_rank-16-seed-1-1"]
    )
    waiting.nth(0).get_by_label("Remove from the queue").click()
    expect(waiting.locator(".link")).to_have_text(["lora_rank-16-seed-2-1", "lora_rank-16-seed-1-1"])
    choose(page, "lora_rank-16-seed-1", SMALL)
    page.get_by_role("button", name="Start next").click()
    expect(waiting.locator(".link").first).to_have_text("lora_rank-16-seed-1-1")
    for left in (1, 0):
        waiting.first.get_by_label("Remove from the queue").click()
        expect(waiting).to_have_count(left)
    choose(page, "lora_rank-8-seed-1", SMALL)
    page.get_by_role("button", name="Abort").click()
    agree(page)
    expect(page.locator(".live-run .progress")).to_contain_text("stopped")


def test_each_machine_gets_its_command(page):
    fill_form(page, **SHORT | {"cutoff_len": 61})
    page.get_by_role("button", name="Many runs, many machines").click()
    page.locator("#train-nodes-button").click()
    expect(page.locator("#train-problem .problem")).to_contain_text("address")
    page.locator("#train-address input, #train-address textarea").fill("10.0.0.5")
    page.locator("#train-nodes-button").click()
    lines = page.locator("#train-to-paste .cm-line")
    expect(lines).to_have_count(2)
    for rank, line in enumerate(lines.all_text_contents()):
        assert f"--node_rank {rank}" in line and "--master_addr 10.0.0.5" in line and "--nnodes 2" in line


@slow  # `test_a_run_goes_on_from_any_checkpoint_for_longer_and_lends_its_adapter` does so without the page
def test_a_run_goes_on_for_more_epochs_and_another_begins_on_top_of_it(page, cockpit):
    fill_form(
        page, **SHORT | {"max_steps": 1, "save_steps": 1, "cutoff_len": 62, "plot_loss": False, "max_samples": 50}
    )
    page.locator("#train-probes textarea").fill("")
    name = "longer"
    page.locator("#train-run_name").get_by_role("textbox").fill(name)
    page.locator("#train-start").click()
    head = page.locator(".live-run")
    expect(head.locator("h2")).to_have_text(name)
    expect(head.locator(".progress")).to_contain_text("finished")
    page.get_by_role("button", name="More epochs").click()
    agree(page, "0.04")
    expect(head.locator(".progress")).to_contain_text("finished · step 2 of 2")
    page.get_by_role("button", name="Checkpoints").click()
    page.locator(".live-checkpoints tr").filter(has_text="checkpoint-1").get_by_role(
        "button", name="Train on top"
    ).click()
    adapter = f"{SMALL}/lora/{name}@checkpoint-1"
    expect(page.locator("#train-cost .chip")).to_contain_text(f"continues {name} at step 1")
    expect(page.locator("#train-adapter_name_or_path input")).to_have_value(adapter)
    page.locator("#train-adapter_name_or_path input").click()
    expect(page.get_by_role("option")).to_contain_text(
        ["None", *(f"{adapter.split('@')[0]}{one}" for one in ("", "@checkpoint-2", "@checkpoint-1"))]
    )
    page.keyboard.press("Escape")
    page.locator("#train-start").click()
    expect(head.locator("h2")).not_to_have_text(name)
    expect(head.locator(".progress")).to_contain_text("finished")
    info = runs.find(Workspace(cockpit.workspace), f"{SMALL}/lora/{head.locator('h2').inner_text()}").info()
    assert info.parent == adapter.split("@")[0]


def test_a_run_is_deleted_after_a_question(page, cockpit):
    choose(page, "gentle")
    page.get_by_role("button", name="Delete").click()
    agree(page)
    expect(page.locator(f'[data-pick="run:{STARTER.name}/lora/gentle-1"]')).to_have_count(0)
    assert not (cockpit.workspace / "saves" / "SmolLM2-135M-Instruct" / "lora" / "gentle-1").exists()
