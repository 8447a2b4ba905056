"""What is entered in a form outlives a reload and a change of language, and goes once the form has made something."""

import pytest
from conftest import SMALL, rest_slow, wait_for
from playwright.sync_api import expect


def typed(page, field: str, text: str) -> None:
    box = page.locator(f"{field} input, {field} textarea").first
    box.fill(text)
    box.blur()


def has(page, field: str, text: str) -> None:
    expect(page.locator(f"{field} input, {field} textarea").first).to_have_value(text)


def chosen(page, field: str, option: str) -> None:
    page.locator(f"{field} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


@pytest.fixture
def page(new_page, server):
    new_page.goto(server.url)
    return new_page


def opened(page, room: str) -> None:
    page.locator(f"#room-{room}-button").click()


def test_an_evaluation(page, server):
    opened(page, "evaluate")
    page.locator("#evaluate-kind label").nth(2).click()
    typed(page, "#evaluate-title", "猫 <b>&\"'")
    typed(page, "#evaluate-shots", "3")
    page.wait_for_function("""(localStorage.getItem('draft-of-evaluation') ?? '').includes('"shots": 3')""")

    def by_another_tab():
        page.goto(f"{server.url}/#/datasets")
        page.reload()
        opened(page, "evaluate")

    for change in (page.reload, page.locator("[data-switch=language]").click, by_another_tab):
        change()
        expect(page.locator("#evaluate-tasks")).to_be_visible()
        has(page, "#evaluate-title", "猫 <b>&\"'")
        has(page, "#evaluate-shots", "3")
    page.locator("#evaluate-kind label").first.click()
    chosen(page, "#evaluate-data", "identity_en")
    page.keyboard.press("Escape")
    typed(page, "#evaluate-rows", "1")
    page.locator("#evaluate-loss").get_by_role("checkbox").set_checked(False)
    page.wait_for_function("""localStorage.getItem('draft-of-evaluation').includes('"loss": false')""")
    page.locator("#evaluate-start").click()
    page.wait_for_function("localStorage.getItem('draft-of-evaluation') === null")


def test_a_deployment_without_its_key(page):
    opened(page, "deploy")
    chosen(page, "#deploy-target", SMALL)
    page.locator("#deploy-engine label").nth(1).click()
    typed(page, "#deploy-key", "sk-of-nobody-else")
    typed(page, "#deploy-name", "kept")
    page.wait_for_function("(localStorage.getItem('draft-of-deployment') ?? '').includes('kept')")
    assert "sk-of" not in page.evaluate("JSON.stringify(localStorage)")
    page.reload()
    has(page, "#deploy-target", SMALL)
    has(page, "#deploy-name", "kept")
    has(page, "#deploy-key", "")
    expect(page.locator("#deploy-engine label").nth(1).locator("input")).to_be_checked()


@pytest.mark.parametrize(
    ("part", "field"), rest_slow(("merge", "#export-name"), ("gguf", "#gguf-name"), ("quantize", "#quantize-name"))
)
def test_an_export(page, part, field):
    opened(page, "export")
    page.locator(f"[data-pick='making:{part}']").click()
    typed(page, field, "my-own")
    page.wait_for_function("name => (localStorage.getItem(name) ?? '').includes('my-own')", arg=f"draft-of-{part}")
    page.reload()
    expect(page.locator(f"{field} input, {field} textarea").first).to_have_value("my-own")


def test_what_is_handed_over_is_newer_than_a_draft(page, server):
    """The form is drawn, and its draft put back, at the moment in which it is handed a recipe."""
    opened(page, "train")
    page.locator('[data-pick="run:"]').first.click()
    typed(page, "#train-num_train_epochs", "7")
    page.wait_for_function("""(localStorage.getItem('draft-train') ?? '').includes('"num_train_epochs": 7')""")
    page.goto(f"{server.url}/#/datasets")
    page.reload()
    page.locator('[data-pick="dataset:identity_zh"]').first.click()
    expect(page.locator(".live-dataset h2").first).to_have_text("identity_zh")
    held, is_slow = [], [True]

    def answer(route):
        is_filling = route.request.post_data_json["data"] == []
        held.append(route) if is_slow and is_filling else route.continue_()

    page.route("**/gradio_api/run/predict*", answer)  # the first judgement is there before the form takes anything
    page.locator(".live-dataset [data-go=room-train]").click()
    expect(page.locator("#train-cost [data-turn]")).to_be_attached()
    page.wait_for_timeout(500)
    is_slow.clear()
    for route in held:
        route.continue_()
    expect(page.locator("#train-dataset")).to_contain_text("identity_zh")
    page.wait_for_timeout(1500)  # the draft would come now
    expect(page.locator("#train-dataset")).to_contain_text("identity_zh")
    expect(page.locator("#train-num_train_epochs input")).not_to_have_value("7")


def test_what_is_typed_and_chosen_before_the_draft_is_back_is_taken_into_it(page, server):
    """A studio that has just been started judges its first recipe after many seconds."""
    opened(page, "train")
    page.locator('[data-pick="run:"]').first.click()
    typed(page, "#train-cutoff_len", "77")
    typed(page, "#train-num_train_epochs", "7")
    page.wait_for_function("""['"num_train_epochs": 7', '"cutoff_len": 77']
        .every((entry) => (localStorage.getItem('draft-train') ?? '').includes(entry))""")
    held, is_slow = [], [True]

    def answer(route):
        is_filling = route.request.post_data_json["data"] == []  # without it there is no form to type into
        held.append(route) if is_slow and not is_filling else route.continue_()

    page.route("**/gradio_api/run/predict*", answer)
    page.reload()
    typed(page, "#train-learning_rate", "0.0007")
    typed(page, "#train-num_train_epochs", "5")
    page.locator("#train-method label").last.click()  # freeze
    page.locator("#train-cutoff_len input").click()  # and nothing is typed into it
    page.get_by_role("button", name="All settings").click()
    typed(page, "#train-search", "warmup")  # no setting
    wait_for(lambda: page.wait_for_timeout(100) or held)
    is_slow.clear()
    for route in held:
        route.continue_()
    has(page, "#train-cutoff_len", "77")
    has(page, "#train-learning_rate", "0.0007")
    has(page, "#train-num_train_epochs", "5")
    expect(page.locator("#train-method label").last.locator("input")).to_be_checked()
    page.wait_for_function("""['"learning_rate": 0.0007', '"num_train_epochs": 5', '"finetuning_type": "freeze"']
        .every((entry) => localStorage.getItem('draft-train').includes(entry))""")


def test_a_judgement_of_the_form_as_it_begins_takes_no_drafts_place(page, server):
    """On a slow line the first judgement comes while the draft is under way: a reload had lost it then."""
    opened(page, "train")
    page.locator('[data-pick="run:"]').first.click()
    typed(page, "#train-cutoff_len", "77")
    page.wait_for_function("""(localStorage.getItem('draft-train') ?? '').includes('"cutoff_len": 77')""")
    held, is_slow = [], [True]

    def answer(route):
        is_given = '"cutoff_len' in (route.request.post_data or "")
        held.append(route) if is_slow and is_given else route.continue_()

    page.route("**/gradio_api/run/predict*", answer)
    page.reload()
    wait_for(lambda: page.wait_for_timeout(50) or held)
    page.locator("#train-lora_rank input").press("ArrowUp")  # judged, without the draft
    page.wait_for_function("document.querySelector('#train-draft :is(textarea, input)').value.includes('lora_rank')")
    expect(page.locator("body.unjudged")).to_have_count(0)
    assert '"cutoff_len": 77' in page.evaluate("localStorage.getItem('draft-train')")
    is_slow.clear()
    for route in held:
        route.continue_()
    has(page, "#train-cutoff_len", "77")


def test_a_tab_that_is_opened_has_nothing_entered_in_it(page, server):
    """gradio tells the first values of numbers as entries when it draws them."""
    page.goto(f"{server.url}/#/models")
    page.reload()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/run/predict") else None)
    for room in ("train", "evaluate", "deploy", "chat"):
        opened(page, room)
        expect(page.locator(f"#room-{room} input").locator("visible=true").first).to_be_visible()
        page.wait_for_timeout(1000)
    assert [key for key in page.evaluate("Object.keys(localStorage)") if key.startswith("draft")] == []
    assert len(asked) <= 15


def test_what_is_chosen_as_a_draft_comes_back_stays(page, server):
    """The answer that brings the draft is held back: the form cannot be used before it, and what follows it stands."""
    opened(page, "deploy")
    typed(page, "#deploy-name", "kept")
    page.wait_for_function("(localStorage.getItem('draft-of-deployment') ?? '').includes('kept')")
    held = []

    def hold(route):
        if "kept" in (route.request.post_data or "") and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/run/predict", hold)
    page.reload()
    wait_for(lambda: page.wait_for_timeout(100) or held)
    expect(page.locator("#deploy-name input, #deploy-name textarea").first).to_be_hidden()
    held[0].continue_()
    has(page, "#deploy-name", "kept")
    typed(page, "#deploy-name", "newer")
    page.wait_for_timeout(500)
    has(page, "#deploy-name", "newer")


def test_where_a_run_is_trained_stays_with_its_devices(page):
    opened(page, "train")
    page.locator('[data-pick="run:"]').first.click()
    chosen(page, "#train-executor", "Worker process")
    typed(page, "#train-devices", "1")
    typed(page, "#train-seed", "7")
    page.wait_for_function("""(localStorage.getItem('draft-train') ?? '').includes('"worker"')""")
    page.reload()
    has(page, "#train-devices", "1")
    has(page, "#train-executor", "Worker process")
    page.locator("[data-switch=language]").click()
    has(page, "#train-devices", "1")
    expect(page.locator("#train-executor input").first).to_have_value("工作进程")
