"""What the Chat tab works with, and its live regions."""

from dataclasses import dataclass

from studio.chat.evaluation.smoke_test import SmokeTests
from studio.chat.history.prompt_lists import PromptLists
from studio.chat.history.votes import Votes
from studio.chat.page import leaderboard_table, memory_in_use, smoke_test_result
from studio.chat.page.conversations import conversation_list, header
from studio.chat.page.prompt_lists import answers_table, overview
from studio.chat.page.servers import server_list
from studio.chat.page.talk import prompt_tokens, vote_form
from studio.chat.turn_runner import TurnRunner
from studio.datasets.registry.collection import Collection
from studio.inference.inference_service import InferenceService
from studio.web.live import Live


@dataclass(frozen=True)
class ChatContext:
    """What the tab works with."""

    service: InferenceService
    turns: TurnRunner
    votes: Votes
    prompt_lists: PromptLists
    collection: Collection


def add_regions(live: Live, context: ChatContext) -> None:
    """Add the live regions of this tab."""
    turns, votes, lists, workspace = context.turns, context.votes, context.prompt_lists, context.service.workspace
    live.add("memory", (memory_in_use.TEMPLATE, lambda _, id: memory_in_use.memory(turns, id)))
    live.add("talks", (conversation_list.TEMPLATE, lambda _, arg: conversation_list.conversation_list(turns, arg)))
    live.add("talk-head", (header.TEMPLATE, lambda _, id: header.header(turns.conversations, id)))
    live.add("vote", (vote_form.TEMPLATE, lambda _, id: vote_form.vote_form(turns, votes, id)))
    live.add("prompts", (prompt_tokens.TEMPLATE, lambda _, id: prompt_tokens.prompt_tokens(turns, id)))
    live.add(
        "board", (leaderboard_table.TEMPLATE, lambda _words, _arg: leaderboard_table.leaderboard(workspace, votes))
    )
    live.add("sheet-form", (overview.FORM, lambda _, id: overview.form(turns, context.collection, id)))
    live.add("sheets", (overview.TEMPLATE, lambda _words, _arg: overview.overview(lists)))
    live.add("sheet", (answers_table.TEMPLATE, lambda words, place: answers_table.answers_table(words, lists, place)))
    live.add("servers", (server_list.TEMPLATE, lambda _words, _arg: server_list.server_list(context.service)))


def add_smoke_test(live: Live, tests: SmokeTests) -> None:
    """Add the region of the Models tab in which a model is tried."""
    live.add("hello", (smoke_test_result.TEMPLATE, lambda _, model: smoke_test_result.smoke_test(tests, model)))
