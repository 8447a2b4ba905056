"""What the page draws of the chat: who is loaded and how an answer went. Pure functions to HTML."""

from html import escape

from studio.chat.answer import Answer
from studio.chat.choose import Table
from studio.interface.language import Words


def draw_memory(words: Words, table: Table) -> str:
    """Return what is loaded and how much it takes, or how far the loading is."""
    if table.loading:
        share = 100 * table.loading.share
        return (
            f'<div class="progress running"><div class="bar"><i style="width:{share:.0f}%"></i></div>'
            f'<span class="num">{escape(words(table.loading.key))}</span></div>'
        )
    seated = table.chat.speakers()
    if not seated:
        return f'<p class="hint">{words("chat.nothing_loaded")}</p>'
    size = table.chat.memory_bytes() / 2**20
    unload = f'<button class="button small" data-call="chat_unload" data-args="[]">{words("chat.unload")}</button>'
    return f'<p class="hint num">{words("chat.in_memory", count=len(seated), megabytes=f"{size:,.0f}")} {unload}</p>'


def draw_answer(words: Words, answer: Answer | None) -> str:
    """Return tokens, time to the first token, speed and why it ended."""
    if answer is None:
        return ""
    first = "–" if answer.first_token_s is None else f"{answer.first_token_s:.2f} s"
    pace = "–" if answer.tokens_per_s is None else f"{answer.tokens_per_s:.1f}"
    end = words(f"chat.end_{answer.finished}") if answer.finished else words("chat.end_running")
    return (
        f'<p class="hint num speed"><span>{words("chat.tokens", count=answer.tokens)}</span><span>{words("chat.first", time=first)}</span>'
        f'<span>{words("chat.pace", pace=pace)}</span><span>{words("chat.prompt", count=len(answer.prompt_tokens))}</span><span>{end}</span></p>'
    )
