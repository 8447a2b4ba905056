"""The Chat tab: one question, up to four columns that answer at once."""

import threading
import time
from html import escape

import gradio as gr

from studio.chat import choose, panel
from studio.chat.answer import Sampling
from studio.chat.choose import MOST, Table
from studio.interface.language import Problem, Words
from studio.interface.live import Live, region
from studio.train.recipe import STARTER_MODEL

PICTURES_A_SECOND = 12
LATEX = [{"left": "$$", "right": "$$", "display": True}, {"left": "\\(", "right": "\\)", "display": False},
         {"left": "\\[", "right": "\\]", "display": True}]


def add_regions(live: Live, table: Table) -> None:
    """Add the live region that says what is loaded."""
    live.add("memory", lambda words, _: panel.draw_memory(words, table))


def build(table: Table, words: Words) -> None:
    """Build the tab in one language."""
    stops: dict[str, threading.Event] = {}
    wish = gr.Textbox(visible="hidden", elem_id="chat-wish")
    talks = gr.State({})
    with gr.Row(elem_classes="chat-head"):
        chosen = gr.Dropdown(choose.names(table.workspace), value=[STARTER_MODEL], multiselect=True, max_choices=MOST, scale=3,
                             label=words("chat.who"), info=words("chat.who_info", most=MOST), elem_id="chat-who")
        gr.HTML(region("memory"))
    with gr.Row(elem_classes="columns"):
        columns = [_column(words, number) for number in range(MOST)]
    with gr.Row(elem_classes="composer"):
        said = gr.Textbox(show_label=False, placeholder=words("chat.say"), lines=1, max_lines=8, scale=8, elem_id="chat-say",
                          autofocus=False, submit_btn=False)
        send = gr.Button(words("chat.send"), variant="primary", elem_id="chat-send", scale=0, min_width=90)
        stop = gr.Button(words("chat.stop"), elem_id="chat-stop", scale=0, min_width=80, interactive=False)
    problem = gr.HTML(elem_id="chat-problem")
    with gr.Row(elem_classes="chat-tools"):
        again = gr.Button(words("chat.again"), size="sm", scale=0, min_width=110, elem_id="chat-again")
        clear = gr.Button(words("chat.clear"), size="sm", scale=0, min_width=90, elem_id="chat-clear")
    with gr.Accordion(words("chat.settings"), open=False):
        system = gr.Textbox(label=words("chat.system"), info=words("chat.system_info"), lines=2, elem_id="chat-system")
        with gr.Row(elem_classes="fields"):
            settings = [
                gr.Number(0.7, label=words("chat.temperature"), info=words("chat.temperature_info"), minimum=0, step=0.1, elem_id="chat-temperature"),
                gr.Number(0.9, label=words("chat.top_p"), info=words("chat.top_p_info"), minimum=0, maximum=1, step=0.05, elem_id="chat-top-p"),
                gr.Number(256, label=words("chat.max_tokens"), info=words("chat.max_tokens_info"), precision=0, elem_id="chat-max-tokens"),
                gr.Number(0, label=words("chat.seed"), info=words("chat.seed_info"), precision=0, elem_id="chat-seed"),
            ]
    boxes = [part for column in columns for part in column]
    shown = [talks, said, problem, send, stop, *boxes]

    def drawn(names, history, answers, text, fault="", busy=False):
        """Return a value for each of `shown`."""
        parts = []
        for number in range(MOST):
            name = names[number] if number < len(names) else None
            answer = answers.get(name)
            parts += [gr.update(visible=name is not None), f'<h4 title="{escape(name or "")}">{escape(_short(name))}</h4>',
                      history.get(name, []), panel.draw_answer(words, answer)]
        return [history, text, fault, gr.update(interactive=not busy), gr.update(interactive=busy), *parts]

    def answer(request: gr.Request, text, names, history, *options):
        """Ask everybody, and draw their answers as they grow; what was typed stays in the box until it was understood."""
        if not (text or "").strip():
            yield drawn(names, history, {}, text)
            return
        event = stops[request.session_hash] = threading.Event()
        before = {name: list(history.get(name, [])) for name in names}
        asked = history | {name: before[name] + [{"role": "user", "content": text}] for name in names}
        yield drawn(names, asked, {}, "", busy=True)
        try:
            yield from grow(names, asked, event, *options)
        except Problem as fault:
            yield drawn(names, history, {}, text, fault=f'<p class="problem" role="alert">{escape(words.tell(fault))}</p>')
        finally:
            stops.pop(request.session_hash, None)

    def grow(names, asked, event, system_now, temperature, top_p, max_tokens, seed):
        sampling = Sampling(float(temperature or 0), float(top_p or 1), int(max_tokens or 1), int(seed or 0))
        spoken, answers, last = asked, {}, 0.0
        for answered in table.ask(names, [asked[name] for name in names], system_now, sampling, event):
            answers = {one.speaker: one for one in answered}
            spoken = asked | {name: asked[name] + [{"role": "assistant", "content": answers[name].text}] for name in names}
            if time.monotonic() - last > 1 / PICTURES_A_SECOND:
                last = time.monotonic()
                yield drawn(names, spoken, answers, "", busy=True)
        yield drawn(names, spoken, answers, "")

    def repeat(request: gr.Request, names, history, *options):
        """Take back the last question of the first column that has one, and ask it anew."""
        text, shorter = "", dict(history)
        for name in names:
            talk = list(history.get(name, []))
            while talk and talk[-1]["role"] == "assistant":
                talk.pop()
            if talk:
                text = talk.pop()["content"]
            shorter[name] = talk
        yield from answer(request, text, names, shorter, *options)

    def on_stop(request: gr.Request):
        if event := stops.get(request.session_hash):
            event.set()

    def on_wish(name):
        try:
            wanted = choose.with_base(table.workspace, name)
        except Problem as fault:
            raise gr.Error(words.tell(fault), print_exception=False) from None
        return gr.update(choices=choose.names(table.workspace), value=wanted)

    options = [chosen, talks, system, *settings]
    quiet = {"api_name": False, "show_progress": "hidden"}
    gr.on([send.click, said.submit], answer, [said, *options], shown, concurrency_limit=None, **quiet)
    again.click(repeat, options, shown, concurrency_limit=None, **quiet)
    stop.click(on_stop, None, None, queue=False, **quiet)
    clear.click(lambda names: drawn(names, {}, {}, ""), chosen, shown, queue=False, **quiet)
    chosen.change(lambda names, history, text: drawn(names, history, {}, text), [chosen, talks, said], shown, queue=False, **quiet)
    wish.input(on_wish, wish, chosen, queue=False, **quiet)
    gr.on([chosen.focus, gr.context.Context.root_block.load], lambda: gr.update(choices=choose.names(table.workspace)), None, chosen, queue=False, **quiet)


def _short(name: str | None) -> str:
    """Return a name without the folders that all runs share: `identity-1@checkpoint-20`."""
    return (name or "").split("/")[-1]


def _column(words: Words, number: int) -> tuple:
    with gr.Column(min_width=220, visible=number == 0, elem_classes="chat-column") as column:
        name = gr.HTML(f"<h4>{escape(STARTER_MODEL)}</h4>" if number == 0 else "")
        talk = gr.Chatbot(type="messages", show_label=False, height=420, elem_id=f"chat-{number}", show_copy_button=True,
                          latex_delimiters=LATEX, placeholder=words("chat.empty"), feedback_options=None, layout="panel")
        speed = gr.HTML()
    return column, name, talk, speed
