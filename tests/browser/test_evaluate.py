"""The Evaluate tab in a real browser: the report of an evaluation, its rows, a mistake that becomes data, a new one."""

import json

import evaluation_files as written
import pytest
from asking import always_agree
from conftest import Server, been_here, new_workspace, slow, wait_for
from playwright.sync_api import expect

OWN_TASK = """
task: colours
dataset_path: json
dataset_kwargs:
  data_files: {test: colours.jsonl}
output_type: multiple_choice
test_split: test
doc_to_text: "What is the colour of {{thing}}?"
doc_to_choice: "{{options}}"
doc_to_target: "{{options.index(right)}}"
metric_list:
  - metric: acc
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return new_workspace(tmp_path_factory.mktemp("evaluate") / "workspace")


@pytest.fixture(scope="module")
def answered(workspace):
    return written.predicted(workspace, 40, title="who are you")


@pytest.fixture(scope="module")
def studio(workspace, answered, tmp_path_factory):
    written.asked(workspace)
    with pytest.MonkeyPatch.context() as patch:  # what is allowed here is allowed for nobody
        patch.setenv("FINETUNE_STUDIO_CONFIG", str(been_here(tmp_path_factory.mktemp("config"))))
        running = Server(workspace.root)
    yield running
    running.kill()


@pytest.fixture
def page(new_page, studio):
    page = new_page
    always_agree(page)
    page.goto(studio.url)
    page.locator("#room-evaluate-button").wait_for()
    page.locator("#room-evaluate-button").click()
    page.locator(".live-evaluations .item").nth(1).wait_for()
    yield page
    assert page.faults == []


def opened(page, part: str) -> None:
    page.locator(".live-evaluations .item", has_text="who are you").click()
    page.locator(f"[data-pick='report:{part}']").click()


def test_a_report_says_which_model_is_better(page):
    opened(page, "summary")
    expect(page.locator(".headline").first).to_contain_text("is better than")
    expect(page.locator("table.summary .change.better").first).to_be_visible()
    page.locator("#score-loss .link").click()
    expect(page.locator("figure").first).to_contain_text("loss of the reference")


def saved(page, plot, kind: str) -> str:
    plot.hover()
    with page.expect_download() as download:
        plot.locator(f".chart-{kind}").click()
    return download.value.path().read_text("utf-8")


def test_plots_have_a_value_box_a_legend_and_can_be_taken_away(page):
    opened(page, "summary")
    page.locator("#score-f1 .link").click()
    plot, scatter = page.locator("#plot-distribution"), page.locator("#plot-scatter")
    expect(page.locator("figure", has=plot)).to_contain_text("F1")
    over = plot.locator(".u-over")
    over.hover(position={"x": over.bounding_box()["width"] * 0.33, "y": 60})  # where the base has its scores
    expect(plot.locator(".chart-box")).to_contain_text("30.0 – 35.0 %")
    expect(plot.locator(".chart-box b.num").first).not_to_have_text("0")
    lines = saved(page, plot, "csv").splitlines()
    assert lines[0].endswith(",SmolLM2-135M-Instruct,first") and len(lines) == 21
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 40
    assert saved(page, scatter, "svg").count("<circle") == 40
    assert len(saved(page, scatter, "csv").splitlines()) == 41
    first = plot.locator("button.plot-entry").first
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    assert saved(page, plot, "svg").count("<polyline") == 1
    drawn = plot.locator("canvas").element_handle()
    page.evaluate("window.studio.refresh()")
    page.locator("#score-loss .link").click()
    expect(page.locator("figure", has=plot)).to_contain_text("loss of the reference")
    assert not drawn.evaluate("canvas => canvas.isConnected")  # other points: drawn anew
    expect(plot.locator("canvas")).to_be_visible()


def test_rows_are_sorted_opened_and_put_right(page, workspace):
    opened(page, "rows")
    page.locator("[data-place='answers:sort']").select_option("change:f1")
    expect(page.locator(".evaluated .asked").first).to_contain_text("Question 39")
    expect(page.locator(".evaluated mark").first).to_have_text("SmolLM")
    first = page.locator(".evaluated").first
    first.hover()
    first.locator("header button").click()
    expect(page.locator(".evaluated.open .tok.nats-4").first).to_have_text(" am")
    form = page.locator(".evaluated.open .mistake").first
    form.locator("textarea").fill("I am Xiaoju, number 39.")
    form.locator("button").click()
    expect(page.locator(".toast")).to_contain_text("mistakes")
    lines = (workspace.data / "mistakes.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0])["conversations"][-1]["value"] == "I am Xiaoju, number 39."


def test_a_row_is_asked_in_chat_with_the_same_models(page, workspace):
    opened(page, "rows")
    page.locator("[data-place='answers:find']").fill("number 17")
    page.locator("[data-place='answers:find']").press("Enter")
    page.locator("[data-place='answers:find']").blur()
    expect(page.locator(".evaluated")).to_have_count(1)
    row = page.locator(".evaluated").first
    row.hover()
    row.locator("header button").click()
    page.locator(".evaluated.open").get_by_role("button", name="Ask in Chat").click()
    expect(page.locator("#chat-say textarea")).to_have_value("Question 17: 你是谁？")
    expect(page.locator("#room-chat")).to_be_visible()
    chats = workspace.saves / ".chats"
    wait_for(lambda: list(chats.glob("*-*.json")))
    conversation = json.loads(next(chats.glob("*-*.json")).read_text("utf-8"))
    assert conversation["columns"] == [written.BASE, written.TUNED]


def test_a_search_keeps_only_what_says_it(page):
    opened(page, "rows")
    page.locator("[data-place='answers:find']").fill("number 17")
    page.locator("[data-place='answers:find']").press("Enter")
    page.locator("[data-place='answers:find']").blur()
    expect(page.locator(".evaluated")).to_have_count(1)


def test_a_new_one_says_what_is_missing_and_keeps_what_was_chosen(page):
    page.locator("[data-pick='evaluation:']").first.click()
    page.locator("#evaluate-start").click()
    expect(page.locator("#evaluate-problem .problem")).to_contain_text("Choose a dataset")
    expect(page.locator("#evaluate-models")).to_contain_text("SmolLM2-135M-Instruct")


def test_a_narrow_page_scrolls_nowhere_sideways(browser, studio):
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    page = context.new_page()
    page.goto(studio.url)
    page.locator("#room-evaluate-button").wait_for()
    page.locator("#room-evaluate-button").click()
    page.locator(".live-evaluations .item", has_text="who are you").click()
    expect(page.locator(".headline").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    context.close()


def test_a_score_of_ones_own_is_read_allowed_and_chosen(page, workspace):
    workspace.metrics.mkdir(exist_ok=True)
    (workspace.metrics / "half.py").write_text(
        "def score(prediction, reference, row):\n    return 0.5\n", encoding="utf-8"
    )
    page.locator("[data-pick='evaluation:']").first.click()
    page.get_by_role("button", name="Scores").first.click()
    page.locator("#evaluate-metrics").get_by_text("metrics/half.py").wait_for()
    page.get_by_role("button", name="Scores of your own").click()
    own = page.locator("#own-metric-half")
    own.get_by_text("half.py").click()
    assert "return 0.5" in own.inner_text()
    own.get_by_role("button", name="Allow its code").click()
    own.get_by_role("button", name="Forbid it again").wait_for()


@slow
def test_a_task_of_ones_own_for_lm_eval_is_asked_from_the_page(page, workspace):
    folder = workspace.data / "benchmarks"
    folder.mkdir(exist_ok=True)
    things = {"the sky": "blue", "grass": "green", "snow": "white", "coal": "black"}
    rows = [{"thing": thing, "right": right, "options": [*things.values()]} for thing, right in things.items()]
    (folder / "colours.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "colours.yaml").write_text(OWN_TASK)
    page.locator("[data-pick='evaluation:']").first.click()
    page.locator("#evaluate-kind").get_by_text("benchmark").click()
    page.locator("#evaluate-tasks input").click()
    page.get_by_role("option", name="colours").click()
    page.keyboard.press("Escape")
    page.locator("#evaluate-title textarea, #evaluate-title input").fill("my colours")
    page.locator("#evaluate-shots input").fill("0")
    page.locator("#evaluate-start").click()
    expect(page.locator(".run-head:visible h2")).to_have_text("my colours")
    expect(page.locator("[data-live='evaluation']")).to_contain_text("finished", timeout=180_000)
    page.locator("[data-pick='report:rows']").click()
    expect(page.locator(".evaluated")).to_have_count(4)
    expect(page.locator(".evaluated .asked").first).to_contain_text("What is the colour of the sky?")
    page.locator("[data-pick='report:summary']").click()
    expect(page.locator("#score-choice")).to_contain_text("%")
