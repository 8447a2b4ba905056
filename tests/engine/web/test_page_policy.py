"""The page's policy and the escaping of sentences: what is served is under one rule, and a fact is never HTML."""

import re
from pathlib import Path

import pytest
from apart import run_apart

from studio.core import formatting
from studio.core.i18n import LANGUAGES, Words, sentences
from studio.web import html, page, policy
from studio.web.live import taken

PAYLOAD = "<img src=x onerror=window.pwned=1>\"' onmouseover=x"


PAGE = (b"content-type", b"text/html; charset=utf-8")


def served(*answer: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers with which the policed application answers with a page."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": list(answer) or [PAGE]})
        await send({"type": "http.response.body", "body": policy.nonce().encode()})

    async def send(message):
        sent.append(message)

    run_apart(policy.Policed(app)({"type": "http"}, None, send))
    nonce = sent[1]["body"].decode()
    assert nonce and (
        PAGE not in sent[0]["headers"] or nonce in dict(sent[0]["headers"])[b"content-security-policy"].decode()
    )
    return sent[0]["headers"]


def rules() -> dict[str, str]:
    text = dict(served())[b"content-security-policy"].decode()
    return dict(rule.split(" ", 1) for rule in text.split("; "))


def test_scripts_run_by_the_nonce_of_their_response_alone():
    first, second = rules()["script-src"], rules()["script-src"]
    assert first != second and re.fullmatch(r"'nonce-[\w-]{20,}' 'strict-dynamic' 'unsafe-eval'", first)
    assert rules()["script-src-attr"] == "'none'" and "unsafe-inline" not in rules()["script-src"]


def test_the_policy_names_no_machine_and_no_frame():
    assert not re.search(r"https?:|\*|\bws", str(rules()))
    assert (
        rules()["default-src"] == "'self'"
        and rules()["frame-ancestors"] == rules()["base-uri"] == rules()["object-src"] == "'none'"
    )


def test_no_application_behind_it_can_set_another_policy():
    found = [
        value
        for name, value in served((b"Content-Security-Policy", b"default-src *"), PAGE)
        if name.lower() == b"content-security-policy"
    ]
    assert len(found) == 1 and b"*" not in found[0] and b"'nonce-" in found[0]


@pytest.mark.parametrize("kind", ["image/svg+xml", "application/json", "text/plain", ""])
def test_what_is_no_page_may_do_nothing(kind):
    assert dict(served((b"content-type", kind.encode())))[b"content-security-policy"].decode() == policy.NO_PAGE


def test_every_script_of_the_page_has_the_nonce():
    policy.draw_nonce()
    html = page.head_with(".further {}")()
    assert re.findall(r"<script[^>]*>", html) == [f'<script nonce="{policy.nonce()}">'] * len(page.SCRIPTS)
    assert html.count("<style>") == len(page.STYLES) + 1 and ".further {}" in html


def test_the_page_of_gradio_has_no_script_without_a_nonce():
    from gradio.routes import templates

    loader, known = templates.env.loader, dict(templates.env.globals)
    try:
        page.claim()
        source = templates.env.loader.get_source(templates.env, "frontend/index.html")[0]
    finally:
        templates.env.loader = loader
        templates.env.globals.clear()
        templates.env.globals.update(known)
        templates.env.cache.clear()
    scripts = re.findall(r"<script[^>]*>", source)
    assert len(scripts) >= 3 and "{{ studio_head() }}" in source
    assert all('nonce="{{ nonce() }}"' in script for script in scripts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_html_itself(language):
    assert {key for key, text in sentences(language).items() if re.search(r"[<>&]", text)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_facts_of_a_sentence_are_escaped_in_a_template(language):
    words = Words(language)
    template = html._environment().from_string('{{ t("train.delete_sure", name=name, megabytes=3) }}')
    told = template.render(t=words, name=PAYLOAD)
    assert "<img" not in told and "&lt;img" in told and '"' not in told and "&amp;lt;" not in told


def test_a_fact_that_no_page_can_show_is_shown_as_such():
    told = Words("en")("train.delete_sure", name="a\udcffb", megabytes=1)
    assert "a\N{REPLACEMENT CHARACTER}b" in told and told.encode()


def test_what_is_taken_in_hand_is_escaped():
    assert "<img" not in taken("run", PAYLOAD) and taken("run", "") == ""
    assert taken("run", "a") != taken("run", "a")  # the same can be taken again


@pytest.mark.parametrize(
    "value",
    [PAYLOAD, None, True, [], {}, "3", float("nan"), float("inf"), 10**400, -(10**5000), 1e300, [[1]]],
    ids=lambda value: type(value).__name__,
)
def test_a_figure_is_a_figure_or_a_dash_whatever_a_record_holds(value):
    drawn = [
        formatting.whole(value),
        formatting.plain(value),
        formatting.fixed(value, 2),
        formatting.measured(value),
        formatting.duration(value),
        formatting.moment(value),
        formatting.width(value),
    ]
    assert all(re.fullmatch(r"[-\d.,:e+ ]*|–|nan|inf", one) for one in drawn), drawn


def test_figures_are_written_as_people_write_them():
    assert (formatting.whole(12345), formatting.plain(12345), formatting.fixed(1.25, 1), formatting.width(0.5)) == (
        "12,345",
        "12345",
        "1.2",
        "50.0",
    )
    assert [formatting.measured(one) for one in (0.42131, 0.00081, 2140.4, 0)] == ["0.4213", "8.1e-04", "2,140", "0"]
    assert [formatting.duration(one) for one in (48, 725, 10930)] == ["0:48", "12:05", "3:02:10"]


def test_no_script_of_ours_evaluates_text():
    """The policy leaves eval to those who drive a browser; what cannot run a script cannot call it, and our scripts do
    not.
    """
    assets = Path(policy.__file__).parents[2] / "assets"
    ours = [path for path in assets.glob("*.js")]
    assert ours
    for path in ours:
        assert not re.search(
            r"\beval\(|new Function\(|set(Timeout|Interval)\(\s*['\"`]", path.read_text(encoding="utf-8")
        ), path.name
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(policy.__file__).parents[1].rglob("*.py"))
    assert not re.search(r"\bjs=", code), "gradio evaluates what it is given as js"
