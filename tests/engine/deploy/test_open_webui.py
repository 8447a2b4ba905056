"""Open WebUI, really installed and started: what one question from its page sends, with its extras off."""

import httpx
import pytest
from conftest import is_sentence, new_workspace, slow, wait_for
from playwright.sync_api import expect

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.processes import process_group
from studio.deploy.clients.open_webui import OpenWebui
from studio.deploy.prompt_recorder.recorder_service import PromptRecorders
from studio.inference.remote.servers import ServerRegistry


@pytest.fixture
def parts(tmp_path):
    workspace = new_workspace(tmp_path)
    jobs, servers = Jobs(workspace), ServerRegistry(workspace)
    recorders = PromptRecorders(workspace, servers)
    yield workspace, jobs, servers, recorders
    recorders.close()
    jobs.interrupt(10)


def test_what_is_not_installed_says_so_and_starts_nothing(parts, tmp_path):
    workspace, jobs, servers, _ = parts
    webui = OpenWebui(workspace, jobs, servers, tmp_path / "engines")
    assert webui.status().state == "missing" and webui.log() == ""
    with pytest.raises(Problem) as told:
        webui.start("served:here/m")
    assert told.value.key == "open_webui.not_installed" and is_sentence(Words("zh").tell(told.value))
    assert webui.stop().state == "missing"


@slow  # installs a gigabyte and starts a web server
def test_one_question_from_its_page_is_one_request_with_the_prompt_of_training(parts, llama_engine, browser, tmp_path):
    workspace, jobs, servers, recorders = parts
    webui = OpenWebui(workspace, jobs, servers)
    if not webui.environment.is_ready():
        assert jobs.wait(webui.environment.make().id, 900).state == "finished"
    servers.add(llama_engine.url, name="here")
    model = servers.models("here")[0]
    recorder = recorders.start("here", trained="SmolLM2-135M-Instruct")
    status = webui.start(f"served:here/{model}", recorder_url=recorder.url)
    try:
        assert status.state == "starting"
        wait_for(lambda: webui.status().state == "ready", 180)
        again = OpenWebui(workspace, jobs, servers).status()  # a studio that was started anew finds it
        assert (again.state, again.url, again.is_recorded) == ("ready", webui.status().url, True)
        page = browser.new_page()
        page.goto(again.url)
        field = page.locator("#chat-input")
        field.wait_for(timeout=120_000)
        if (close := page.get_by_role("button", name="Okay, Let's Go!")).is_visible():
            close.click()
        field.click()
        page.keyboard.type("What is a fox?")
        page.keyboard.press("Enter")
        wait_for(lambda: recorders.requests.ids(), 120)
        expect(page.locator("#chat-container")).to_contain_text("What is a fox?")
        page.wait_for_timeout(5000)  # in which it would ask for a title, tags and more
        page.screenshot(path=str(tmp_path / "open-webui.png"))
        found = [recorders.requests.find(id) for id in recorders.requests.ids()]
        assert [(one.kind, one.messages, one.tools) for one in found] == [
            ("chat", [{"role": "user", "content": "What is a fox?"}], [])
        ]
        assert found[0].answer and found[0].status == 200
        page.close()
    finally:
        members = process_group.members(webui._record().process, webui._record().mark)
        webui.stop()
    assert webui.status().state == "stopped" and not any(one.is_running() for one in members)
    with pytest.raises(httpx.ConnectError):
        httpx.get(status.url, trust_env=False)
    assert (workspace.saves / ".open-webui" / "data" / "webui.db").is_file()
