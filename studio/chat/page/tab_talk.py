"""The conversation in the Chat tab: who answers, the columns, composer and settings, and what their events do."""

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from studio.chat.page.context import ChatContext
from studio.chat.page.schemas import ConversationOptions
from studio.chat.page.talk import conversation_settings
from studio.core.i18n import Problem, Words
from studio.inference import target_names
from studio.inference.sampling import Sampling
from studio.inference.target_names import MOST
from studio.train.recipe.recipes import STARTER_MODEL
from studio.web import schema
from studio.web.form_fields import QUIET, first_seen, keep_offered
from studio.web.html import render, ui
from studio.web.live import region, taken

LONGEST = 10_000_000
BITS = (None, 8, 4)
STANDARD = Sampling(max_tokens=256)
# The settings of the sampling, in the order of their fields.
NUMBERS = ("temperature", "top_p", "top_k", "max_tokens", "seed")


@dataclass(frozen=True)
class Settings:
    """The fields beside the columns, in the order in which events are given them."""

    system: Component
    tools: Component
    bits: Component
    blind: Component
    temperature: Component
    top_p: Component
    top_k: Component
    max_tokens: Component
    seed: Component

    def all(self) -> list[Component]:
        """Return the fields in their order."""
        return [getattr(self, name) for name in vars(self)]


def build(context: ChatContext, words: Words) -> None:
    """Build the part of the tab in which a conversation is held."""
    events = _Events(context, words)
    with gr.Row(elem_classes="chat-room"):
        with gr.Column(elem_classes="chat-main", min_width=0):
            with gr.Row(elem_classes="chat-head"):
                columns = _who(events, words)
                gr.HTML(region("memory", follows="chat"))
            gr.HTML(render("chat/page/talk/place.html", words), elem_classes="chat-place")
            gr.HTML(region("vote", follows="chat"))
            problem = gr.HTML(elem_id="chat-problem")
            with gr.Row(elem_classes="composer"):
                message = _message(words)
                send = gr.Button(words("chat.send"), variant="primary", elem_id="chat-send", scale=0, min_width=90)
            gr.HTML(render("chat/page/talk/tools.html", words))
        with gr.Column(elem_classes="chat-side", elem_id="chat-side", min_width=0, scale=0):
            fields = [columns, *_settings(words).all()]
    now = gr.Textbox(visible="hidden", elem_id="chat-now")
    run = gr.Textbox(visible="hidden", elem_id="chat-wish")
    served = gr.Textbox(visible="hidden", elem_id="chat-add")
    made = gr.HTML(visible="hidden")
    # The conversation whose columns and settings stand in the fields. The browser keeps it, as it keeps those: they
    # come with one answer, and what is sent before that comes is of the conversation before.
    shown = gr.Textbox(visible="hidden", elem_id="chat-shown")

    gr.on(
        [send.click, message.submit],
        events.send,
        [now, shown, message, *fields],
        [message, problem, made, shown],
        **QUIET,
    )
    for field in fields:
        field.input(events.change, [now, shown, *fields], [problem, made, shown], **QUIET)
    now.input(events.show, [now, shown], [shown, *fields], **QUIET)
    served.input(events.add_served, [served, now, shown, *fields], [problem, made, shown, columns], **QUIET)
    run.input(events.compare_run, [run, *fields[1:]], [problem, made, shown, columns], **QUIET)
    keep_offered(columns, events.names, [columns], [first_seen()])


def _who(events: "_Events", words: Words) -> Component:
    return gr.Dropdown(
        events.names([STARTER_MODEL]),
        value=[STARTER_MODEL],
        multiselect=True,
        max_choices=MOST,
        scale=3,
        elem_id="chat-who",
        label=words("chat.who"),
        info=words("chat.who_info", most=MOST),
    )


def _message(words: Words) -> Component:
    return gr.MultimodalTextbox(
        show_label=False,
        placeholder=words("chat.say"),
        max_plain_text_length=LONGEST,  # gradio would make a file of a longer paste, which cannot be asked
        lines=1,
        max_lines=8,
        scale=8,
        elem_id="chat-say",
        autofocus=False,
        submit_btn=False,
        file_types=["image"],
        file_count="multiple",
        sources=["upload"],
    )


def _settings(words: Words) -> Settings:
    system = gr.Textbox(label=words("chat.system"), info=words("chat.system_info"), lines=2, elem_id="chat-system")
    with gr.Row(elem_classes="fields"):
        numbers = [
            _number(words("chat.temperature"), words("chat.temperature_info"), "temperature", step=0.1),
            _number(words("chat.top_p"), words("chat.top_p_info"), "top_p", step=0.05),
            _number(words("chat.top_k"), words("chat.top_k_info"), "top_k", precision=0),
            _number(words("chat.max_tokens"), words("chat.max_tokens_info"), "max_tokens", precision=0),
            _number(words("chat.seed"), words("chat.seed_info"), "seed", precision=0),
        ]
    with gr.Row(elem_classes="fields"):
        bits = gr.Dropdown(
            [(words(f"chat.bits_{count or 'none'}"), count or 0) for count in BITS],
            value=0,
            label=words("chat.bits"),
            info=words("chat.bits_info"),
            elem_id="chat-bits",
        )
        blind = gr.Checkbox(False, label=words("chat.blind"), info=words("chat.blind_info"), elem_id="chat-blind")
    tools = gr.Textbox(
        label=words("chat.tools"),
        info=words("chat.tools_info"),
        lines=3,
        elem_id="chat-tools",
        placeholder=words("chat.tools_example"),
    )
    return Settings(system, tools, bits, blind, *numbers)


def _number(label: str, info: str, name: str, **more: object) -> Component:
    value = getattr(STANDARD, name)
    return gr.Number(value, label=label, info=info, elem_id=f"chat-{name.replace('_', '-')}", **more)


class _Events:
    """What the fields do. `values` are the fields of `Settings`; `id` is the conversation in hand, `shown` the one
    whose columns and settings stand in the fields.
    """

    def __init__(self, context: ChatContext, words: Words):
        self._service, self._turns, self._words = context.service, context.turns, words

    def names(self, columns: list[str]) -> list[tuple[str, str]]:
        """Return the choices of who may answer, with those that are chosen already."""
        known = [*target_names.names(self._service.workspace), *self._service.model_lists.columns()]
        return target_names.choices(self._service.workspace, [*known, *(columns or [])])

    def send(self, id, shown, message, columns, *values):
        """Ask in the conversation in hand, in a new one where there is none; what was typed stays in the box where it
        cannot be asked.
        """
        text, files = (message or {}).get("text") or "", (message or {}).get("files") or []
        if not text.strip() and not files:
            return message, "", "", shown
        try:
            if not id or id == shown:
                id = shown = self._write(id, columns, values)
            self._turns.send(id, text, files)
        except Problem as fault:
            return message, self._problem(fault), taken("chat", id), shown
        return {"text": "", "files": []}, "", taken("chat", id), shown

    def change(self, id, shown, columns, *values):
        """Keep what was set in the conversation in hand."""
        if not id or id != shown:
            return "", "", shown
        try:
            made = self._write(id, columns, values)
        except Problem as fault:
            return self._problem(fault), "", shown
        return "", taken("chat", made), made

    def show(self, id, shown):
        """Show the columns and settings of the conversation that was taken in hand, unless they stand there already."""
        as_it_is = [id, gr.skip(), *[gr.skip()] * len(Settings.__dataclass_fields__)]
        if id == shown:
            return as_it_is
        try:
            conversation = self._turns.conversations.open(id)
        except Problem:  # deleted, here or in another window: begin anew with what stands in the fields
            return as_it_is
        columns = conversation.listed_columns
        return [
            id,
            gr.update(choices=self.names(columns), value=columns),
            conversation.system,
            conversation.tools,
            conversation.bits or 0,
            conversation.blind,
            *(conversation.settings[name] for name in NUMBERS),
        ]

    def add_served(self, name, id, shown, columns, *values):
        """Add a served model as a column of the conversation in hand."""
        wider = [*columns, name]
        try:
            made = self._write(id if id == shown else "", wider, values)
        except Problem as fault:
            return self._problem(fault), "", shown, columns
        return "", taken("chat", made), made, gr.update(choices=self.names(wider), value=wider)

    def compare_run(self, name, *values):
        """Begin a conversation of a run and its base."""
        try:
            columns = target_names.with_base(self._service.workspace, name)
            made = self._turns.conversations.new(columns, **_fields(values))
        except Problem as fault:
            return self._problem(fault), gr.skip(), gr.skip(), gr.skip()
        return "", taken("chat", made.id), made.id, gr.update(choices=self.names(made.columns), value=made.columns)

    def _write(self, id: str, columns: list[str], values: tuple) -> str:
        return conversation_settings.write(self._turns, id, columns, _fields(values))

    def _problem(self, fault: Problem) -> str:
        return str(ui(self._words.language).problem(fault))


def _fields(values: tuple) -> dict:
    """Return the fields of `Settings`, as gradio gives them, as fields of a conversation. Raises Problem."""
    given = vars(Settings(*values))
    if None in (given[name] for name in NUMBERS):
        raise Problem("chat.bad_sampling")  # an empty field
    options = given | {
        "system": given["system"] or "",
        "tools": given["tools"] or "",
        "bits": int(given["bits"]) or None,
        "blind": bool(given["blind"]),
    }
    return schema.taken(ConversationOptions, options, "options").fields()
