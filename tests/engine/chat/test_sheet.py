"""Prompt sheets: many prompts through all columns, kept as they come, stopped, taken up again, and exported."""

import csv
import io
import json
import subprocess
import sys
import threading

import pytest
from conftest import ROOT, new_workspace, wait_for

from studio.chat.history import append_only
from studio.chat.history.prompt_lists import GIVE_UP_AFTER, PromptLists
from studio.chat.history.prompt_sources import of_dataset, typed
from studio.chat.page.prompt_lists import answers_table, overview
from studio.chat.page.prompt_lists.answers_table import ROWS
from studio.chat.render.prompt_list_export import as_csv, as_json
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.inference.answer import Answer
from studio.inference.sampling import Sampling
from studio.web.html import render

PROMPTS = [{"prompt": f"Question {number}", "system": ""} for number in range(4)]


class Asked:
    """What is asked for answers: it repeats the question in capitals; a column called "broken" fails, and all do where
    the system prompt is "refuse".
    """

    def __init__(self, free: int = 10_000):
        """Answer so many questions at once, and the others when `go` is set."""
        self.questions: list[tuple] = []
        self.free, self.go = free, threading.Event()

    def __call__(self, talks, system, sampling, stop, tools="", bits=None):
        columns = list(talks)
        self.questions.append((columns, talks[columns[0]][-1]["content"], system, sampling, tools, bits))
        if system == "refuse":
            yield [Answer(name, "", 0, None, None, "failed", fault=Problem("chat.nobody")) for name in columns]
            return
        yield [Answer(name, "", 0, None, None, "") for name in columns]
        while len(self.questions) > self.free and not self.go.wait(0.01) and not stop.is_set():
            pass
        yield [self._answer(name, talk[-1]["content"], stop) for name, talk in talks.items()]

    def _answer(self, name: str, text: str, stop) -> Answer:
        if name == "broken":
            return Answer(name, "", 0, None, None, "failed", fault=Problem("chat.no_memory"))
        return Answer(name, f"**{text.upper()}**", 3, 0.1, 20.0, "stopped" if stop.is_set() else "stop")


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "workspace").prepare()


def ended(jobs, job):
    assert not jobs.wait(job.id, 240).active
    return jobs.find(job.id)


def drawn(words: Words, prompt_lists: PromptLists, place: str) -> str | None:
    context = answers_table.answers_table(words, prompt_lists, place)
    return context and render(answers_table.TEMPLATE, words, context)


def drawn_overview(prompt_lists: PromptLists) -> str:
    return render(overview.TEMPLATE, Words("en"), overview.overview(prompt_lists))


def test_every_prompt_goes_to_every_column(place):
    jobs, ask = Jobs(place), Asked()
    prompt_lists = PromptLists(place, jobs, ask)
    job = prompt_lists.start(
        ["a", "broken"],
        [*PROMPTS, {"prompt": "你好 👋", "system": "Be a poet."}],
        Sampling(seed=3),
        "Be brief.",
        '[{"name": "x"}]',
        8,
    )
    id = job.facts["sheet"]
    assert ended(jobs, job).state == "finished" and job.result == {"sheet": id, "prompts": 5}
    assert ask.questions[0] == (["a", "broken"], "Question 0", "Be brief.", Sampling(seed=3), '[{"name": "x"}]', 8)
    assert ask.questions[4][1:3] == ("你好 👋", "Be a poet.")
    answers = prompt_lists.answers(id)
    assert answers[1]["a"] == {
        "text": "**QUESTION 1**",
        "tokens": 3,
        "first_token_s": 0.1,
        "tokens_per_s": 20.0,
        "finished": "stop",
        "calls": [],
        "fault": None,
    }
    assert answers[4]["broken"]["fault"]["key"] == "chat.no_memory"
    assert prompt_lists.all()[0].title == "Question 0" and prompt_lists.job(id) is job


def test_where_nobody_answers_it_ends_and_asks_those_again(place):
    jobs, ask = Jobs(place), Asked()
    prompt_lists = PromptLists(place, jobs, ask)
    job = prompt_lists.start(["a", "b"], [{"prompt": str(number), "system": "refuse"} for number in range(9)])
    assert ended(jobs, job).state == "failed" and job.error["key"] == "chat.nobody"
    assert len(prompt_lists.answers(job.facts["sheet"])) == GIVE_UP_AFTER
    ask.questions.clear()
    prompt_lists.resume(job.facts["sheet"])
    ended(jobs, job)
    assert ask.questions[0][1] == "0"


def test_stopped_and_taken_up_where_it_stood(place):
    jobs, ask = Jobs(place), Asked(free=1)
    prompt_lists = PromptLists(place, jobs, ask)
    job = prompt_lists.start(["a"], PROMPTS)
    id = job.facts["sheet"]
    wait_for(lambda: len(ask.questions) == 2, every=0.01)
    assert job.state == "running" and job.progress == 0.25
    jobs.cancel(job.id)
    assert ended(jobs, job).state == "stopped" and list(prompt_lists.answers(id)) == [0]
    ask.go.set()
    prompt_lists.resume(id)
    assert ended(jobs, job).state == "finished" and [asked[1][-1] for asked in ask.questions] == [
        "0",
        "1",
        "1",
        "2",
        "3",
    ]
    assert [one["a"]["finished"] for one in prompt_lists.answers(id).values()] == ["stop"] * 4


def test_a_row_with_an_answer_that_was_cut_off_is_asked_again(place):
    jobs, ask = Jobs(place), Asked(free=1)
    prompt_lists = PromptLists(place, jobs, ask)
    job = prompt_lists.start(["a", "b"], PROMPTS[:2])
    id = job.facts["sheet"]
    wait_for(lambda: len(ask.questions) == 2, every=0.01)
    jobs.cancel(job.id)
    ended(jobs, job)
    whole = prompt_lists.answers(id)[0]
    cut = {"row": 1, "answers": whole | {"a": whole["a"] | {"text": "**QU", "finished": "stopped"}}}
    append_only.append(prompt_lists.folder / f"{id}.jsonl", cut)
    ask.go.set()
    prompt_lists.resume(id)
    assert ended(jobs, job).state == "finished" and len(ask.questions) == 3
    assert [one["finished"] for one in prompt_lists.answers(id)[1].values()] == ["stop"] * 2


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = ["tests", "tests/engine/chat"]
from test_sheet import PROMPTS, Asked
from studio.chat.history.prompt_lists import PromptLists
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
place = Workspace(Path(sys.argv[1])).prepare()
sheets = PromptLists(place, Jobs(place), Asked(free=1))
job = sheets.start(["a"], PROMPTS)
while not sheets.answers(job.facts["sheet"]):
    time.sleep(0.01)
print(job.facts["sheet"], flush=True)
time.sleep(60)
"""


def test_after_a_kill_it_goes_on_in_another_process(place):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place.root)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    id = process.stdout.readline().strip()
    process.kill()
    process.wait()
    with open(place.saves / ".chats" / "sheets" / f"{id}.jsonl", "a") as file:
        file.write('{"row": 1, "answ')
    jobs, ask = Jobs(place), Asked()
    prompt_lists = PromptLists(place, jobs, ask)
    assert prompt_lists.job(id).state == "interrupted" and list(prompt_lists.answers(id)) == [0]
    assert "chat_sheet_resume" in drawn(Words("en"), prompt_lists, id)
    assert ended(jobs, prompt_lists.resume(id)).state == "finished"
    assert [asked[1] for asked in ask.questions] == ["Question 1", "Question 2", "Question 3"] and len(
        prompt_lists.answers(id)
    ) == 4


def test_prompts_are_typed_as_lines_or_as_json():
    assert typed("one\n\n  两 \r\n") == [{"prompt": "one", "system": ""}, {"prompt": "两", "system": ""}]
    assert typed('["a\\nb", {"prompt": "c", "system": "d"}]') == [
        {"prompt": "a\nb", "system": ""},
        {"prompt": "c", "system": "d"},
    ]
    for text, key in (
        ("[1]", "sheet.bad_item"),
        ('["a"', "sheet.not_json"),
        ('[{"prompt": " "}]', "sheet.bad_item"),
        ("[" * 99999, "sheet.not_json"),
    ):
        with pytest.raises(Problem) as told:
            typed(text)
        assert told.value.key == key


def test_prompts_come_from_a_dataset(place):
    collection = Collection(place, Jobs(place))
    (place.data / "talks.json").write_text(
        json.dumps(
            [
                {
                    "conversations": [
                        {"from": "system", "value": "S"},
                        {"from": "human", "value": "Hi"},
                        {"from": "gpt", "value": "x"},
                    ]
                },
                {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "x"}]},
                {"conversations": []},
            ]
        )
    )
    (place.data / "pairs.json").write_text(
        json.dumps([{"instruction": "Add", "input": "1 and 2", "output": "3", "system": "T"}] * 3)
    )
    info = {
        "talks": {"file_name": "talks.json", "formatting": "sharegpt"},
        "pairs": {
            "file_name": "pairs.json",
            "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system"},
        },
    }
    (place.data / "dataset_info.json").write_text(json.dumps(info))
    assert of_dataset(collection, "talks", 10) == [{"prompt": "Hi", "system": "S"}, {"prompt": "你好", "system": ""}]
    assert of_dataset(collection, "pairs", 2) == [{"prompt": "Add\n1 and 2", "system": "T"}] * 2
    with pytest.raises(Problem):
        of_dataset(collection, "none", 2)


@pytest.mark.parametrize(("columns", "prompts", "key"), [([], PROMPTS, "chat.nobody"), (["a"], [], "sheet.no_prompts")])
def test_a_sheet_that_asks_nothing_is_refused(place, columns, prompts, key):
    prompt_lists = PromptLists(place, Jobs(place), Asked())
    with pytest.raises(Problem) as told:
        prompt_lists.start(columns, prompts)
    assert told.value.key == key and prompt_lists.all() == []
    for id in ("../x", "none"):
        with pytest.raises(Problem):
            prompt_lists.open(id)


def test_a_table_program_reads_the_questions_and_computes_none(place):
    jobs = Jobs(place)
    prompt_lists = PromptLists(place, jobs, Asked())
    job = prompt_lists.start(["runs/a"], [{"prompt": "=1+1", "system": ""}, {"prompt": "-你好", "system": ""}])
    ended(jobs, job)
    text = as_csv(Words("zh"), prompt_lists, job.facts["sheet"])
    assert text.startswith("\ufeff")
    lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert [line["prompt"] for line in lines] == ["'=1+1", "'-你好"]


def test_the_table_and_the_files_say_all(place):
    jobs, words = Jobs(place), Words("en")
    prompt_lists = PromptLists(place, jobs, Asked())
    assert words("sheet.none") in drawn_overview(prompt_lists) and drawn(words, prompt_lists, "") is None
    prompts = [{"prompt": '<b> "x",\ny', "system": ""}, {"prompt": "long " * 400, "system": "S<"}] + PROMPTS * 20
    job = prompt_lists.start(["runs/a", "broken"], prompts, system="Sys")
    ended(jobs, job)
    id = job.facts["sheet"]
    html = drawn(words, prompt_lists, id)
    assert (
        html.count("<tr") == ROWS + 1
        and "<strong>QUESTION 0</strong>" in html
        and "<b>" not in html
        and "S&lt;" in html
    )
    assert html.count("<details id=") == 1 and "20.0 tokens/s" in html and "The memory is not enough" in html
    assert drawn(words, prompt_lists, f"{id}@50").count("<tr") == len(prompts) - ROWS + 1
    assert f"sheet:{id}" in drawn_overview(prompt_lists)
    rows = list(csv.DictReader(io.StringIO(as_csv(words, prompt_lists, id).removeprefix("\ufeff"))))
    assert (
        len(rows) == len(prompts)
        and rows[0]["prompt"] == prompts[0]["prompt"]
        and rows[0]["runs/a"] == '**<B> "X",\nY**'
    )
    assert (
        rows[1]["system"] == "S<"
        and rows[0]["system"] == "Sys"
        and "memory" in rows[0]["broken: fault"]
        and rows[0]["runs/a: tokens"] == "3"
    )
    told = json.loads(as_json(prompt_lists, id))
    assert told["columns"] == ["runs/a", "broken"] and told["rows"][1]["answers"]["runs/a"]["text"].startswith("**LONG")


def test_a_real_model_answers_a_sheet(tmp_path):
    from studio.core.device_lease import DeviceLease
    from studio.inference.inference_service import InferenceService

    place = new_workspace(tmp_path / "real")
    jobs, service = Jobs(place), InferenceService(place, DeviceLease())
    prompt_lists = PromptLists(place, jobs, service.ask)
    job = prompt_lists.start(
        ["SmolLM2-135M-Instruct", "no-such-model"], typed("Say hello.\n你好"), Sampling(temperature=0, max_tokens=4)
    )
    assert not jobs.wait(job.id, 120).active and job.state == "finished", job.error
    answers = prompt_lists.answers(job.facts["sheet"])
    assert (
        all(answers[row]["SmolLM2-135M-Instruct"]["tokens"] == 4 for row in (0, 1))
        and answers[1]["no-such-model"]["fault"]
    )
    service.unload()


def test_an_answer_that_ended_because_its_model_had_to_go_is_asked_for_again(tmp_path):
    from studio.core.device_lease import DeviceLease
    from studio.inference.inference_service import InferenceService

    place = new_workspace(tmp_path / "real")
    jobs, service, ends = Jobs(place), InferenceService(place, DeviceLease()), []

    def ask(*question):
        """Ask the service, and let somebody else take all memory once the first answer has begun."""
        for answers in service.ask(*question):
            if answers[0].text and not ends:
                service.device.acquire("train", 2**60)
                service.device.release("train")
            yield answers
        ends.append(answers[0].finished)

    prompt_lists = PromptLists(place, jobs, ask)
    prompts = typed("What is a fox?")
    job = prompt_lists.start(["SmolLM2-135M-Instruct"], prompts, Sampling(temperature=0, max_tokens=32))
    assert ended(jobs, job).state == "finished", job.error
    (answer,) = prompt_lists.answers(job.facts["sheet"])[0].values()
    assert ends == ["stopped", "length"] and answer["finished"] == "length" and answer["tokens"] == 32
    service.unload()
