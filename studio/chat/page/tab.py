"""The Chat tab: conversations on the left, up to four columns that answer at once on the right."""

import gradio as gr

from studio.chat.page import leaderboard_table, tab_talk
from studio.chat.page.context import ChatContext
from studio.chat.page.servers import server_list
from studio.core.i18n import Words
from studio.web.html import render
from studio.web.live import region

# What is in hand, as an address names it, with what it need not say (assets/address.js).
ADDRESS = {"talk": "talk", "chat": "", "sheet": None}


def build(context: ChatContext, words: Words) -> None:
    """Build the tab in one language."""
    with gr.Row(elem_classes="split"):
        with gr.Column(elem_classes="split-list", min_width=0, scale=0):
            gr.HTML(render("chat/page/conversations/search.html", words))
        with gr.Column(elem_classes="split-main", min_width=0):
            gr.HTML(region("talk-head", follows="chat"))
            gr.HTML(render("chat/page/parts.html", words))
            with gr.Column(elem_classes="talk-part talk-talk"):
                tab_talk.build(context, words)
            gr.HTML(region("prompts", follows="chat"), elem_classes="talk-part talk-prompts")
            gr.HTML(render(leaderboard_table.ACTIONS, words), elem_classes="talk-part talk-board")
            gr.HTML(render("chat/page/prompt_lists/regions.html", words), elem_classes="talk-part talk-sheet")
            gr.HTML(render(server_list.FORM, words), elem_classes="talk-part talk-servers")
