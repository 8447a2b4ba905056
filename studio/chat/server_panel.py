"""What the page draws of the endpoints: how to add one, and which models each has. Pure functions to HTML."""

from markupsafe import escape

from studio.chat.choose import Table
from studio.core.i18n import Problem, Words
from studio.web.live import attribute


def form(words: Words) -> str:
    """Return the form that adds an endpoint."""
    fields = "".join(
        f'<label>{words(label)}<input name="{name}" type="{kind}" placeholder="{words(example)}"'
        ' autocomplete="off"></label>'
        for name, kind, label, example in (
            ("url", "text", "servers.url", "servers.url_example"),
            ("key", "password", "servers.key", "servers.key_example"),
            ("name", "text", "servers.name", "servers.name_example"),
        )
    )
    keep = (
        f'<label class="tick"><input type="checkbox" name="keep_key" value="yes"> {words("servers.keep_key")}</label>'
    )
    return (
        f'<section class="server-form"><p class="hint">{words("servers.what")}</p><form data-submit="chat_server_add"'
        f' data-as="object" data-done="{words("servers.added")}">{fields}{keep}<button class="button primary"'
        f' type="submit">{words("servers.add")}</button><p role="alert" class="problem" hidden></p></form></section>'
    )


def draw(words: Words, table: Table) -> str:
    """Return the endpoints with their models, each of which can become a column."""
    told, known = table.rollcall.models(), table.endpoints.list()
    rows = "".join(_endpoint(words, one, told.get(one["name"])) for one in known)
    damage = "".join(f'<p class="warning">{escape(words.tell(fault))}</p>' for fault in table.endpoints.faults())
    return damage + (rows or f'<p class="hint">{words("servers.none")}</p>')


def _endpoint(words: Words, one: dict, told: list[str] | Problem | None) -> str:
    name = one["name"]
    remove = (
        f'<button class="button small danger" data-call="chat_server_remove" data-args=\'{attribute([name])}\' '
        f'data-ask="{escape(words("servers.remove_sure", name=name))}">{words("servers.remove")}</button>'
    )
    key = f" · {words('servers.has_key')}" if one["has_key"] else ""
    state = "finished" if isinstance(told, list) else "failed" if told else "waiting"
    head = (
        f'<div class="section-head"><h3><i class="dot {state}"></i> {escape(name)}</h3><span'
        f' class="hint">{escape(one["url"])}{key}</span>{remove}</div>'
    )
    if told is None:
        return f'<section class="server">{head}<p class="hint">{words("servers.asking")}</p></section>'
    if isinstance(told, Problem):
        return f'<section class="server">{head}<p class="problem">{escape(words.tell(told))}</p></section>'
    models = "".join(
        f'<li><span>{escape(model)}</span><button class="button small"'
        f' data-give="chat-add:{escape(f"served:{name}/{model}")}" data-pick="talk:talk">'
        f"{words('servers.as_column')}</button></li>"
        for model in told
    )
    return f'<section class="server">{head}<ul class="plain">{models or words("servers.no_models")}</ul></section>'
