"""What the page draws around the columns: conversations, what is loaded, and how to vote. Pure functions to HTML."""

from markupsafe import escape

from studio.chat import choose
from studio.chat.choose import Table
from studio.chat.columns import LETTERS, label
from studio.chat.conversation import Conversation
from studio.chat.talk import Talks
from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.web.live import attribute

LISTED = 200
FAULTS_SHOWN = 20


def draw_memory(words: Words, table: Table, chosen: list[str], bits: int | None) -> str:
    """Return what is loaded and how much it takes, how far the loading is, or about what those chosen will take."""
    if table.loading:
        share = 100 * table.loading.share
        return (
            f'<div class="progress running"><div class="bar"><i style="width:{share:.0f}%"></i></div>'
            f'<span class="num">{escape(words(table.loading.key))}</span></div>'
        )
    seated = table.chat.speakers()
    if seated:
        unload = (
            '<button class="button small" data-call="chat_unload" data-args="[]"'
            f' data-said="told">{words("chat.unload")}</button>'
        )
        told = words.html("chat.in_memory", count=len(seated), megabytes=f"{table.chat.memory_bytes() / 2**20:,.0f}")
        return f'<p class="hint num">{told} {unload}</p>'
    return f'<p class="hint num">{_put_away(words, table)}{escape(_will_take(words, table, chosen, bits))}</p>'


def _put_away(words: Words, table: Table) -> str:
    return words("chat.was_put_away") + " " if table.evict else ""


def _will_take(words: Words, table: Table, chosen: list[str], bits: int | None) -> str:
    local = [name for name in chosen if not name.startswith(choose.SERVED)]
    if not local:
        return words("chat.nothing_loaded")
    try:
        needed = table.chat.bytes_needed(choose.speakers(table.workspace, local, bits))
    except Problem as problem:
        return words.tell(problem)
    return words("chat.will_take", megabytes=f"{needed / 2**20:,.0f}")


def draw_list(words: Words, talks: Talks, query: str, now: str) -> str:
    """Return the list of conversations, the last changed first; with a query those that hold all its words."""
    found = talks.conversations.list(query)
    new = (
        (
            f'<button class="item item-new" data-call="chat_new" data-args=\'{attribute([[], {}, now])}\''
            ' data-then="chat:{conversation}">'
            f"{words('chat.new')}</button>"
        )
        if now
        else ""
    )
    rows = "".join(_line(words, talks, one) for one in found[:LISTED])
    faults = [] if query.strip() else talks.conversations.faults()
    damage = "".join(f'<p class="warning">{escape(words.tell(fault))}</p>' for fault in faults[:FAULTS_SHOWN])
    return (
        new
        + (rows or f'<p class="hint">{words("chat.none_fits" if query.strip() else "chat.no_conversations")}</p>')
        + damage
    )


def _line(words: Words, talks: Talks, one) -> str:
    state = '<i class="dot running"></i>' if talks.under_way(one.id) else ""
    branch = f'<span title="{words("chat.is_branch")}">⑂ </span>' if one.is_branch else ""
    who = " · ".join(map(choose.short, one.columns))
    return (
        f'<button class="item" data-pick="chat:{escape(one.id)}"><span'
        f' class="item-top">{state}{branch}<b>{escape(one.title or words("chat.untitled"))}</b></span><span'
        f' class="item-sub"><span>{escape(who)}</span><span'
        f' class="num">{formatting.moment(one.changed, "%m-%d %H:%M")}</span></span></button>'
    )


def draw_head(words: Words, talks: Talks, id: str) -> str:
    """Return the title of a conversation and what can be done with it."""
    if not id:
        return f'<header class="run-head"><h2>{words("chat.new")}</h2></header>'
    conversation = talks.conversations.open(id)
    title = conversation.title or words("chat.new")
    rename = f'data-prompt="{escape(words("chat.rename_to"))}" data-now="{escape(title)}"'
    export = "".join(
        f'<button class="button small" data-call="chat_export" data-args=\'{attribute([id, form])}\''
        f" data-file>{words('chat.export_' + form)}</button>"
        for form in ("markdown", "json")
    )
    delete = (
        f'<button class="button small danger" data-call="chat_delete" data-args=\'{attribute([id])}\' data-then="chat:"'
        f' data-ask="{escape(words("chat.delete_sure"))}">'
        f"{words('chat.delete')}</button>"
    )
    parent = _parent(words, talks, conversation)
    return (
        f'<header class="run-head"><div><h2>{escape(title)}</h2>{parent}</div><div class="actions"><button'
        f' class="button small" data-call="chat_rename" data-args=\'{attribute([id])}\''
        f" {rename}>{words('chat.rename')}</button>{export}{delete}</div></header>"
    )


def _parent(words: Words, talks: Talks, conversation: Conversation) -> str:
    if not conversation.parent:
        return ""
    try:
        parent = talks.conversations.open(conversation.parent["id"])
    except Problem:
        return ""  # deleted since
    link = f'<button class="link" data-pick="chat:{escape(parent.id)}">{escape(parent.title)}</button>'
    return f'<p class="hint">{words.html("chat.branch_of", turn=conversation.parent["turn"])} {link}</p>'


def draw_votes(words: Words, talks: Talks, votes, id: str) -> str:
    """Return the buttons that say which answer to the last question was better, with what was said before."""
    if not id:
        return ""
    conversation = talks.conversations.open(id)
    answered = [
        name
        for name in conversation.columns
        if (said := conversation.of(name)) and said[-1]["role"] == "assistant" and said[-1]["content"]
    ]
    if talks.under_way(id) or len(answered) < 2:
        return ""
    before = votes.of(id, conversation.turns)
    buttons = "".join(
        _vote(
            words, conversation, name, f"{LETTERS[conversation.columns.index(name)]}", label(conversation, name), before
        )
        for name in answered
    )
    buttons += "".join(
        _vote(words, conversation, choice, words(f"chat.vote_{choice}"), "", before) for choice in ("tie", "bad")
    )
    note = (
        f'<input type="text" name="note" placeholder="{words("chat.vote_note")}" aria-label="{words("chat.vote_note")}"'
        f' value="{escape(before.note if before else "")}">'
    )
    hidden = "".join(
        f'<input type="hidden" name="{key}" value="{escape(str(value))}">'
        for key, value in (("conversation", id), ("turn", conversation.turns))
    )
    return (
        f'<form class="votes" data-submit="chat_vote" data-done="{words("chat.vote_kept")}"><span'
        f' class="hint">{words("chat.better")}</span>'
        # Enter in the note would press the first button of the form; one that cannot be pressed stands before the
        # votes.
        f'<button type="submit" disabled hidden></button>{hidden}{buttons}{note}<p role="alert" class="problem"'
        " hidden></p></form>"
    )


def _vote(words: Words, conversation: Conversation, choice: str, text: str, title: str, before) -> str:
    chosen = ' aria-pressed="true"' if before and before.choice == choice else ""
    told = f' title="{escape(title)}"' if title and not conversation.hidden else ""
    return (
        '<button class="button small" type="submit" name="choice"'
        f' value="{escape(choice)}"{chosen}{told}>{escape(text)}</button>'
    )


def board_actions(words: Words) -> str:
    """Return what can be made of the votes."""
    return (
        '<form class="actions board-form" data-submit="chat_preferences" data-said="told"><input type="text"'
        f' name="name" placeholder="{words("chat.preferences_name")}"'
        f' aria-label="{words("chat.preferences_name")}"><button class="button" type="submit"'
        f' title="{words("chat.preferences_info")}">{words("chat.preferences")}</button><p role="alert" class="problem"'
        " hidden></p></form>"
    )


def draw_sheet_form(words: Words, talks: Talks, datasets: list[str], id: str) -> str:
    """Return the form that asks a list of prompts of every column of the conversation in hand."""
    if not id:
        return f'<p class="hint">{words("chat.sheet_needs_columns")}</p>'
    columns = " · ".join(label(talks.conversations.open(id), name) for name in talks.conversations.open(id).columns)
    options = "".join(f'<option value="{escape(name)}">' for name in datasets)
    return (
        '<form class="sheet-form" data-submit="chat_sheet" data-then="sheet:{sheet}"><input type="hidden"'
        f' name="conversation" value="{escape(id)}"><p'
        f' class="hint">{words.html("chat.sheet_what", columns=columns)}</p><textarea name="prompts" rows="4"'
        f' placeholder="{words("chat.sheet_prompts")}" aria-label="{words("chat.sheet_prompts")}"></textarea><div'
        f' class="actions"><label>{words("chat.sheet_dataset")}<input name="dataset" list="sheet-datasets"'
        ' autocomplete="off"></label><datalist'
        f' id="sheet-datasets">{options}</datalist><label>{words("chat.sheet_first")}<input name="first" type="number"'
        ' min="1" value="20"></label><button class="button primary"'
        f' type="submit">{words("chat.sheet_run")}</button></div><p role="alert" class="problem" hidden></p></form>'
    )


def sheet_actions(words: Words, id: str) -> str:
    """Return the buttons that save a sheet as a file, or delete it."""
    saved = "".join(
        f'<button class="button small" data-call="chat_sheet_export" data-args=\'{attribute([id, form])}\''
        f" data-file>{words('chat.sheet_' + form)}</button>"
        for form in ("csv", "json")
    )
    return (
        f'<div class="actions">{saved}<button class="button small" data-call="chat_sheet_delete"'
        f" data-args='{attribute([id])}' data-then=\"sheet:{{next}}\""
        f' data-ask="{words("sheet.delete_sure")}">{words("sheet.delete")}</button></div>'
    )
