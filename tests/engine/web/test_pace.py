"""Who works on the processor is told beside what would share it, before that is started."""

import gradio as gr
import pytest
from conftest import is_sentence

from studio import app
from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace
from studio.monitor import readings
from studio.web import frame


@pytest.fixture
def studio(tmp_path) -> app.Studio:
    return app.make(Workspace(tmp_path / "workspace"))


def told(studio: app.Studio, language: str = "en") -> dict[str, str]:
    """Return what is told beside each kind of start."""
    drawn = {starts: studio.live._draws["pace"](Words(language), starts) for starts in frame.STARTS}
    return {starts: str(html).strip() for starts, html in drawn.items() if html}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_is_told_beside_what_computes_and_that_beside_start(studio, monkeypatch, language):
    monkeypatch.setattr(readings, "has_gpu", lambda: False)
    assert told(studio, language) == {}
    studio.accelerator.acquire("training", 0)
    sentences = told(studio, language)
    assert set(sentences) == {"work", "chat"} and all(is_sentence(one) for one in sentences.values())
    studio.accelerator.release("training")
    for holder in ("export:merged", "evaluate", "batch", "hello"):
        studio.accelerator.acquire(holder, 0)
        (sentence,) = told(studio, language).values()
        assert set(told(studio, language)) == {"run"} and is_sentence(sentence)
        assert Words(language)(f"app.holder_{holder.partition(':')[0]}") in sentence
        assert holder.partition(":")[2] in sentence
        studio.accelerator.release(holder)
    for idle in ("deploy:waits", "chat"):  # they compute when they are asked
        studio.accelerator.acquire(idle, 0)
        assert told(studio, language) == {}
        studio.accelerator.release(idle)


def test_nothing_is_told_where_a_gpu_computes(studio, monkeypatch):
    monkeypatch.setattr(readings, "has_gpu", lambda: True)
    studio.accelerator.acquire("training", 0)
    studio.accelerator.acquire("export:merged", 0)
    assert told(studio) == {}


def test_it_stands_where_something_that_computes_is_started(studio):
    blocks = app.window(studio, Words("en")).blocks.values()
    html = "".join(str(block.value) for block in blocks if isinstance(block, gr.HTML) and block.value)
    places = {starts: html.count(f'data-live="pace" data-arg="{starts}"') for starts in frame.STARTS}
    assert places == {"run": 1, "work": 2, "chat": 2}  # Train; Export, Evaluate; Chat, Deploy
