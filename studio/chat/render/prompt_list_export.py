"""A list of prompts with its answers as a file to keep: CSV for a table, JSON to work with."""

import json

from studio.chat.history.prompt_lists import PromptLists
from studio.core.i18n import Words
from studio.core.jobs import sentence_text
from studio.core.storage.csv_text import csv_text

FIGURES = ("tokens", "first_token_s", "tokens_per_s", "finished")


def as_json(prompt_lists: PromptLists, id: str) -> str:
    """Return a list with its answers as JSON: {title, columns, system, tools, settings, rows: [{prompt, system,
    answers}]}. Raises Problem.
    """
    prompt_list, answers = prompt_lists.open(id), prompt_lists.answers(id)
    rows = [{**prompt, "answers": answers.get(number, {})} for number, prompt in enumerate(prompt_list.prompts)]
    facts = {
        "title": prompt_list.title,
        "columns": prompt_list.columns,
        "system": prompt_list.system,
        "tools": prompt_list.tools,
        "settings": prompt_list.settings,
    }
    return json.dumps({**facts, "rows": rows}, ensure_ascii=False, indent=2) + "\n"


def as_csv(words: Words, prompt_lists: PromptLists, id: str) -> str:
    """Return a list as CSV: a line for each prompt; for each column its answer and its figures. Raises Problem."""
    prompt_list, answers = prompt_lists.open(id), prompt_lists.answers(id)
    titles = [
        title
        for name in prompt_list.columns
        for title in (name, *(f"{name}: {figure}" for figure in (*FIGURES, "fault")))
    ]
    rows: list[list[object]] = [["prompt", "system", *titles]]
    for number, prompt in enumerate(prompt_list.prompts):
        cells: list[object] = []
        for name in prompt_list.columns:
            one = answers.get(number, {}).get(name, {})
            cells += [
                one.get("text", ""),
                *(one.get(figure) for figure in FIGURES),
                sentence_text(one.get("fault"), words),
            ]
        rows.append([prompt["prompt"], prompt.get("system") or prompt_list.system, *cells])
    return csv_text(rows)
