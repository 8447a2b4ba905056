"""The Chat tab: conversations on the left, up to four columns that answer at once on the right."""

from dataclasses import asdict, dataclass

import gradio as gr
from markupsafe import escape

from studio.chat import choose, panel, prompt_panel, server_panel, sheet_panel, votes
from studio.chat.answer import Sampling
from studio.chat.choose import MOST, Table
from studio.chat.conversation import Conversation
from studio.chat.sheet import Sheets
from studio.chat.talk import Talks
from studio.chat.talk_endpoints import checked_columns, conversation_options
from studio.chat.votes import Votes
from studio.core.i18n import Problem, Words
from studio.datasets.registry.collection import Collection
from studio.train.recipe.completion import STARTER_MODEL
from studio.web.event_faults import Told
from studio.web.live import Live, region, taken

PARTS = ("talk", "prompts", "board", "sheet", "servers")
BITS = (None, 8, 4)


@dataclass(frozen=True)
class ChatRoom:
    """What the tab works with."""

    table: Table
    talks: Talks
    votes: Votes
    sheets: Sheets
    collection: Collection


def add_regions(live: Live, room: ChatRoom) -> None:
    """Add the live regions of this tab."""
    talks = room.talks
    live.add("memory", lambda words, id: panel.draw_memory(words, room.table, *_chosen(talks, id)))
    live.add("talks", lambda words, arg: panel.draw_list(words, talks, *arg.partition("\n")[::2]))
    live.add("talk-head", lambda words, id: panel.draw_head(words, talks, id))
    live.add("vote", lambda words, id: panel.draw_votes(words, talks, room.votes, id))
    live.add("prompts", lambda words, id: prompt_panel.draw(words, talks, id))
    live.add("board", lambda words, _: votes.draw_board(words, room.votes))
    live.add("sheet-form", lambda words, id: panel.draw_sheet_form(words, talks, _datasets(room), id))
    live.add("sheets", lambda words, _: sheet_panel.draw_list(words, room.sheets))
    live.add("sheet", lambda words, which: _sheet(words, room, which))
    live.add("servers", lambda words, _: server_panel.draw(words, room.table))


def _datasets(room: ChatRoom) -> list[str]:
    return [
        room.collection.name_of(one) for one in room.collection.datasets(room.collection.folder) if one.problem is None
    ]


def _sheet(words: Words, room: ChatRoom, which: str) -> str:
    return (
        panel.sheet_actions(words, which.partition("@")[0]) + sheet_panel.draw(words, room.sheets, which)
        if which
        else ""
    )


def _chosen(talks: Talks, id: str) -> tuple[list[str], int | None]:
    if not id:
        return [STARTER_MODEL], None
    conversation = talks.conversations.open(id)
    return conversation.columns, conversation.bits


def build(room: ChatRoom, words: Words) -> None:
    """Build the tab in one language."""
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(_search(words) + region("talks", follows="find-talk chat"))
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML(region("talk-head", follows="chat"))
            gr.HTML(
                '<nav class="parts">'
                + "".join(f'<button data-pick="talk:{part}">{words("chat.part_" + part)}</button>' for part in PARTS)
                + "</nav>"
            )
            with gr.Column(elem_classes="talk-part talk-talk"):
                _talk(room, words)
            gr.HTML(region("prompts", follows="chat"), elem_classes="talk-part talk-prompts")
            gr.HTML(panel.board_actions(words) + region("board"), elem_classes="talk-part talk-board")
            gr.HTML(
                region("sheet-form", follows="chat") + region("sheets") + region("sheet", follows="sheet"),
                elem_classes="talk-part talk-sheet",
            )
            gr.HTML(server_panel.form(words) + region("servers"), elem_classes="talk-part talk-servers")


def _search(words: Words) -> str:
    told = words("chat.search")
    return f'<input type="search" class="list-search" data-hand="find-talk" placeholder="{told}" aria-label="{told}">'


def _talk(room: ChatRoom, words: Words) -> None:
    workspace = room.table.workspace
    standard = Sampling(max_tokens=256)
    with gr.Row(elem_classes="chat-head"):
        chosen = gr.Dropdown(
            _names(room, [STARTER_MODEL]),
            value=[STARTER_MODEL],
            multiselect=True,
            max_choices=MOST,
            scale=3,
            elem_id="chat-who",
            label=words("chat.who"),
            info=words("chat.who_info", most=MOST),
        )
        gr.HTML(region("memory", follows="chat"))
    gr.HTML(
        f'<div class="columns" id="chat-columns" data-follows="chat" data-empty="{escape(words("chat.empty"))}"></div>'
    )
    gr.HTML(region("vote", follows="chat"))
    problem = gr.HTML(elem_id="chat-problem")
    with gr.Row(elem_classes="composer"):
        said = gr.MultimodalTextbox(
            show_label=False,
            placeholder=words("chat.say"),
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
        send = gr.Button(words("chat.send"), variant="primary", elem_id="chat-send", scale=0, min_width=90)
    gr.HTML(
        f'<div class="chat-tools"><button class="button small" id="chat-stop" disabled>{words("chat.stop")}</button>'
        f'<button class="button small" id="chat-again">{words("chat.again")}</button></div>'
    )
    with gr.Accordion(words("chat.settings"), open=False, elem_id="chat-settings"):
        system = gr.Textbox(label=words("chat.system"), info=words("chat.system_info"), lines=2, elem_id="chat-system")
        with gr.Row(elem_classes="fields"):
            numbers = [
                gr.Number(
                    standard.temperature,
                    label=words("chat.temperature"),
                    info=words("chat.temperature_info"),
                    step=0.1,
                    elem_id="chat-temperature",
                ),
                gr.Number(
                    standard.top_p,
                    label=words("chat.top_p"),
                    info=words("chat.top_p_info"),
                    step=0.05,
                    elem_id="chat-top-p",
                ),
                gr.Number(
                    standard.max_tokens,
                    label=words("chat.max_tokens"),
                    info=words("chat.max_tokens_info"),
                    precision=0,
                    elem_id="chat-max-tokens",
                ),
                gr.Number(
                    standard.seed,
                    label=words("chat.seed"),
                    info=words("chat.seed_info"),
                    precision=0,
                    elem_id="chat-seed",
                ),
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
    now = gr.Textbox(visible="hidden", elem_id="chat-now")
    wish = gr.Textbox(visible="hidden", elem_id="chat-wish")
    more = gr.Textbox(visible="hidden", elem_id="chat-add")
    made = gr.HTML(visible="hidden")
    shown = gr.State("")  # the conversation whose columns and settings stand in the fields
    fields = [chosen, system, tools, bits, blind, *numbers]

    def options(system, tools, bits, blind, temperature, top_p, max_tokens, seed):
        return conversation_options(
            {
                "system": system or "",
                "tools": tools or "",
                "bits": int(bits) or None,
                "blind": bool(blind),
                "temperature": temperature,
                "top_p": top_p,
                "max_tokens": max_tokens,
                "seed": seed,
            }
        )

    def on_send(id, shown, said, names, *values):
        """Ask in the conversation in hand, in a new one where there is none; what was typed stays in the box where it
        cannot be asked.
        """
        text, files = (said or {}).get("text") or "", (said or {}).get("files") or []
        if not text.strip() and not files:
            return said, "", "", shown
        try:
            if not id or id == shown:
                id = shown = _kept(room, id, names, options(*values))
            room.talks.say(id, text, files)
        except Problem as fault:
            return said, _told(words, fault), taken("chat", id), shown
        return {"text": "", "files": []}, "", taken("chat", id), shown

    def on_change(id, shown, names, *values):
        """Keep what was set in the conversation in hand."""
        if not id or id != shown:
            return "", "", shown
        try:
            made = _kept(room, id, names, options(*values))
        except Problem as fault:
            return _told(words, fault), "", shown
        return "", taken("chat", made), made

    def on_now(id, shown):
        """Show the columns and settings of the conversation that was taken in hand, unless they stand there already."""
        as_it_is = [id, *[gr.skip()] * len(fields)]
        if id == shown:
            return as_it_is
        try:
            kept = room.talks.conversations.open(id)
        except Problem:  # deleted, here or in another window: begin anew with what stands in the fields
            return as_it_is
        columns = sorted(kept.columns) if kept.hidden else kept.columns  # their order would tell who is who
        return [
            id,
            gr.update(choices=_names(room, columns), value=columns),
            kept.system,
            kept.tools,
            kept.bits or 0,
            kept.blind,
            *(kept.settings[name] for name in asdict(standard)),
        ]

    def on_add(name, id, shown, names, *values):
        """Add a served model as a column of the conversation in hand."""
        names = [*names, name]
        try:
            made = _kept(room, id if id == shown else "", names, options(*values))
        except Problem as fault:
            return _told(words, fault), "", shown, names[:-1]
        return "", taken("chat", made), made, gr.update(choices=_names(room, names), value=names)

    def on_wish(name, *values):
        """Begin a conversation of a run and its base."""
        try:
            made = room.talks.conversations.new(choose.with_base(workspace, name), **options(*values))
        except Problem as fault:
            raise Told(words.tell(fault), print_exception=False) from None
        return taken("chat", made.id), made.id, gr.update(choices=_names(room, made.columns), value=made.columns)

    quiet = {"api_name": False, "show_progress": "hidden", "queue": False}
    gr.on([send.click, said.submit], on_send, [now, shown, said, *fields], [said, problem, made, shown], **quiet)
    for field in fields:
        field.input(on_change, [now, shown, *fields], [problem, made, shown], **quiet)
    now.input(on_now, [now, shown], [shown, *fields], **quiet)
    more.input(on_add, [more, now, shown, *fields], [problem, made, shown, chosen], **quiet)
    wish.input(on_wish, [wish, *fields[1:]], [made, shown, chosen], **quiet)
    gr.on(
        [chosen.focus, gr.context.Context.root_block.load],
        lambda names: gr.update(choices=_names(room, names)),
        chosen,
        chosen,
        **quiet,
    )


def _kept(room: ChatRoom, id: str, names: list[str], said: dict) -> str:
    """Write columns and settings into a conversation, a new one where there is none of this id, and return its id."""
    columns = checked_columns(names)
    try:
        old: Conversation | None = room.talks.conversations.open(id)
    except Problem:
        old = None
    if old is None:
        return room.talks.conversations.new(columns, **said).id
    if old.blind and sorted(old.columns) == sorted(columns):
        columns = old.columns  # shuffled
    if old.columns == columns and all(getattr(old, key) == value for key, value in said.items()):
        return id
    with room.talks.conversations.change(id) as changed:
        changed.columns = columns
        vars(changed).update(said)
    return id


def _names(room: ChatRoom, columns: list[str]) -> list[tuple[str, str]]:
    found = [*choose.names(room.table.workspace), *room.table.rollcall.columns()]
    return [(choose.title(name), name) for name in dict.fromkeys([*found, *(columns or [])])]


def _told(words: Words, fault: Problem) -> str:
    return f'<p class="problem" role="alert">{escape(words.tell(fault))}</p>'
