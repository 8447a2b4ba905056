"""The Chat tab as a person uses it: ask, reload, look at the prompts, branch, and ask a list of prompts."""

from conftest import STARTER, wait_for
from gradio_client import Client
from playwright.sync_api import expect
from test_studio_page import open_page

GONE = "served:127.0.0.1:9/none"


def test_a_conversation_and_what_is_typed_outlive_a_reload(browser, server):
    client = Client(server.url, verbose=False)
    made = client.predict([STARTER.name, GONE], {"temperature": 0, "max_tokens": 8}, "", api_name="/chat_new")["conversation"]
    page = open_page(browser, server)
    page.get_by_role("tab", name="Chat").click()
    page.locator(f'[data-pick="chat:{made}"]').click()
    page.get_by_role("button", name="System prompt and sampling").click()
    expect(page.locator("#chat-max-tokens input")).to_have_value("8", timeout=30_000)
    page.locator("#chat-say textarea").fill("What is a fox?")
    page.locator("#chat-send").click()
    expect(page.locator("#chat-0 .reply .speed")).to_contain_text("cut at max tokens", timeout=120_000)
    expect(page.locator("#chat-1 .reply .problem")).to_contain_text("endpoint")
    answer = page.locator("#chat-0 .reply .written").inner_text()
    page.locator("#chat-say textarea").fill("not sent yet")
    page.reload()
    page.get_by_role("tab", name="Chat").click()
    expect(page.locator("#chat-0 .reply .written")).to_have_text(answer, timeout=30_000)
    expect(page.locator("#chat-say textarea")).to_have_value("not sent yet", timeout=15_000)
    page.locator('[data-pick="talk:prompts"]').click()
    expect(page.locator(".toks").first).to_contain_text("What is a fox?", timeout=30_000)
    page.locator('[data-pick="talk:talk"]').click()
    page.locator("#chat-0 .asked").hover()
    page.locator("#chat-0 .asked").get_by_text("Branch here").click()
    expect(page.locator(".live-talk-head")).to_contain_text("Branch after question 1", timeout=15_000)
    assert len(client.predict("fox", api_name="/chat_conversations")) >= 2
    assert page.errors == [] and page.outside == []
    page.context.close()


def test_a_list_of_prompts_becomes_a_table(server):
    client = Client(server.url, verbose=False)
    options = {"temperature": 0, "max_tokens": 4}
    made = client.predict([STARTER.name], options, "", api_name="/chat_new")["conversation"]
    started = client.predict(made, "One?\nTwo?", "", 20, api_name="/chat_sheet")
    result = wait_for(lambda: (now := client.predict(started["sheet"], api_name="/chat_sheet_result"))["state"] not in ("queued", "running", "preparing") and now)
    assert result["state"] == "finished" and [row["answers"][STARTER.name]["tokens"] for row in result["rows"]] == [4, 4]
    assert "One?" in client.predict(started["sheet"], "csv", api_name="/chat_sheet_export")["text"]
