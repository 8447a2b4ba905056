"""What comes from outside is worked out in a child process, and a limit that it reaches is told in one sentence."""

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest
from conftest import rest_slow

from studio.core.i18n import Problem, Words
from studio.core.processes import limited

RENDER = "studio.models.chat_template_match.rendering:render"
TALK = [[{"role": "user", "content": "hi"}]]
NAMED = limited.Limits(file="chat_template.jinja", of="X")


def render(source: str, seconds: float = 5, mib: int = 1024, **more):
    limits = replace(NAMED, seconds=seconds, mib=mib)
    return limited.call(RENDER, source, TALK, {}, limits=limits, **more)


def test_a_template_is_rendered_in_another_process():
    (said,) = render("{{ messages[0].content }} {{ '\ud800' }}")
    assert said == {"text": "hi \ud800"}
    assert "refused" in render("{{ raise_exception('no system turn') }}")[0] and "refused" in render("{% if %}")[0]


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("{{ 9 ** (9 ** 9) }}", "limited.too_slow"),
        *rest_slow(
            ("{{ 'x' * 30000000000 }}", "limited.too_large"),
            (
                (
                    "{% set ns = namespace(a='x' * 1000000) %}{% for i in range(99999) %}{% set ns.a = ns.a ~ ns.a %}{%"
                    " endfor %}"
                ),
                "limited.too_large",
            ),
            ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "limited.too_slow"),
            ("{{ '%0999999999d' % 1 }}", "limited.too_large"),
        ),
    ],
)
def test_what_takes_too_much_is_stopped_and_told(source, key):
    before = psutil.Process().memory_info().rss
    with pytest.raises(Problem) as told:
        # One limit at a time: a slow machine takes a second to fill the memory.
        render(source, seconds=1 if key == "limited.too_slow" else 15, mib=512)
    assert (
        told.value.key == key
        and "chat_template.jinja of X" in str(told.value)
        and "X 的 chat_template" in Words("zh").tell(told.value)
    )
    assert psutil.Process().memory_info().rss - before < 300 * 2**20
    assert render("ok")[0] == {"text": "ok"}  # the next call finds another child


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "\x00" * 5,
        "{{ 1 / 0 }}",
        "{{ messages[9].content.x.y }}",
        "{{ 'a'.join(3) }}",
        "{{ [].pop() }}",
        "{{ strftime_now(3) }}",
    ],
)
def test_what_only_fails_is_refused_in_words(source):
    try:
        (said,) = render(source)
        assert "refused" in said or "text" in said
    except Problem as problem:
        assert problem.key == "limited.failed" and "\n" not in str(problem)


def test_an_answer_that_is_too_long_is_not_taken():
    assert "characters" in render("{% for i in range(40) %}{{ 'x' * 1000000 }}{% endfor %}")[0]["refused"]
    with pytest.raises(Problem, match="more than 32 MiB"):
        limited.call("studio.core.storage.records:parse", '"' + "x" * 40_000_000 + '"', limits=NAMED)


def test_an_answer_is_remembered_by_its_stamp_and_a_limit_too():
    stamp = ("test", time.time())
    assert render("one", stamp=stamp) == render("two", stamp=stamp) == [{"text": "one"}]
    slow = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    assert render(slow, seconds=1, stamp=(stamp, 2), wait=0.05) is limited.PENDING
    for _ in range(2):
        with pytest.raises(Problem, match="more than 1 s"):
            render(slow, seconds=1, stamp=(stamp, 2))
    with pytest.raises(Problem, match="more than 1 s"):
        render(slow, seconds=1, stamp=(stamp, 2), wait=0.05)  # asked anew, it would be pending


def test_one_that_is_slow_does_not_hold_up_the_others_and_many_may_call_at_once():
    render("ready")
    slow = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"

    def rendered_slowly() -> None:
        with pytest.raises(Problem):
            render(slow, seconds=60)

    busy = threading.Thread(target=rendered_slowly)
    busy.start()
    render("ready")
    found: list = []
    threads = [threading.Thread(target=lambda n=n: found.append((n, render(str(n))[0]["text"]))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert sorted(found) == [(n, str(n)) for n in range(20)] and busy.is_alive()
    while busy.is_alive():  # killed as soon as it was asked, a call is given another child
        for child in limited_children():
            child.kill()
        busy.join(0.2)


def limited_children() -> list[psutil.Process]:
    """Return the children of this process that read for it; those of other tests that have ended are passed over."""
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # gone meanwhile
            found += [one] if "studio.core.processes.limited_child" in one.cmdline() else []
    return found


def test_a_child_that_was_killed_is_replaced():
    render("x")
    for child in limited_children():
        child.kill()
        child.wait(240)
    assert render("x")[0] == {"text": "x"}


@pytest.mark.parametrize("heavy", [False, True])
def test_one_that_was_dying_when_it_was_taken_is_no_fault_of_the_call(monkeypatch, heavy):
    """Killed, a process still looks alive for a moment, in which it was taken for one that waits for work."""
    limits = replace(NAMED, heavy=heavy, seconds=240)
    assert limited.call(RENDER, "x", TALK, {}, limits=limits) == [{"text": "x"}]
    monkeypatch.setattr(limited._LimitedChild, "alive", lambda _: True)
    for child in limited_children():
        child.kill()
        child.wait(240)
    assert limited.call(RENDER, "y", TALK, {}, limits=limits) == [{"text": "y"}]


def test_a_call_that_ends_its_child_is_told_after_a_second_one():
    render("x")
    before = {child.pid for child in limited_children()}
    with pytest.raises(Problem) as told:
        limited.call("studio.core.processes.child:end_with_parent", 0, limits=NAMED)
    assert told.value.key == "limited.failed" and "chat_template.jinja of X" in str(told.value)
    assert len(before - {child.pid for child in limited_children()}) == 1
    assert render("x")[0] == {"text": "x"}


def test_only_the_studio_s_functions_run_and_what_they_raise_comes_back():
    with pytest.raises(Problem, match="is not the studio's"):
        limited.call("os:getcwd", limits=NAMED)
    with pytest.raises(Problem, match="AttributeError"):
        limited.call("studio.models.chat_template_match.rendering:nothing", limits=NAMED)
    with pytest.raises(Problem) as told:
        limited.call("studio.inference.local.tool_call_parsing:definitions", "[1]", limits=NAMED)
    assert told.value.key.startswith(("prompt.", "chat.", "tools."))
    with pytest.raises(ValueError, match="deeply"):
        limited.call("studio.core.storage.records:parse", "[" * 100_000, limits=NAMED)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_does_not_reach_the_child_and_it_ends_with_its_pipe():
    render("x")
    child, *_ = limited_children()
    os.kill(child.pid, signal.SIGINT)
    assert render("y")[0] == {"text": "y"} and child.is_running()
