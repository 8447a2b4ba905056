"""What stands on disk of a run may be of another program, another release or an enemy: one line says what is wrong, and
the rest is used.
"""

import json
import os
import threading
import time

import pytest
from conftest import costs_at_most
from drawn import drawn
from workspace_run_files import ENTRY, EVENTS, FACTS, event

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.sentences import Sentence
from studio.core.storage import yaml_file
from studio.core.workspace import Workspace
from studio.train import notifications, runs
from studio.train.execution import dispatch, queue, training_service
from studio.train.page import endpoints
from studio.train.page.runs import comparison, now_running, run_head, run_list
from studio.train.recipe import saved_recipes
from studio.train.runs import events, llamaboard_runs, progress
from studio.train.runs.stop_request import StopRequest
from studio.train.runs.stored import listing
from studio.train.runs.stored.run_info import RunInfo

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(97 + i)}: &{chr(97 + i)} [{','.join(['*' + chr(96 + i)] * 9)}]\n" for i in range(1, 10)
)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setattr(dispatch.Dispatcher, "_work", lambda dispatcher: None)
    for folder in ("saves", "models", "data"):
        (tmp_path / folder).mkdir()
    return Workspace(tmp_path)


def run_of(workspace, *lines, name="m/lora/r-1", **files) -> runs.Run:
    folder = workspace.saves / name
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    )
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    return runs.Run(name, folder)


BAD_EVENTS = [
    "[1]",
    "5",
    "null",
    '"x"',
    "{}",
    '{"event": 5, "time": 1}',
    '{"event": "state", "time": 1, "state": "exploded"}',
    '{"event": "state", "state": "failed"}',
    '{"event": "metrics", "time": 1, "values": {"loss": 1}}',
    '{"event": "metrics", "time": 1, "step": "<b>", "values": {"loss": 1}}',
    '{"event": "metrics", "time": "soon", "step": 1, "values": {"loss": 1}}',
    '{"event": "metrics", "time": 1, "step": 1, "values": [1]}',
    '{"event": "metrics", "time": 1, "step": 1, "values": {"loss": [1]}}',
    '{"event": "metrics", "time": 1, "step": 1, "values": {"loss": "<b>"}}',
    '{"event": "metrics", "time": 1, "step": 1, "epoch": "x", "values": {"loss": 1}}',
    '{"event": "metrics", "time": 1, "step": NaN, "values": {}}',
    '{"event": "metrics", "time": 1e300, "step": 1, "values": {"loss": 1}}',
    '{"event": "step", "time": 1}',
    '{"event": "step", "time": 1, "step": -1}',
    '{"event": "facts", "time": 1, "total_steps": "many"}',
    '{"event": "facts", "time": 1, "trainable": [1]}',
    '{"event": "warning", "time": 1, "key": "x"}',
    '{"event": "probe", "time": 1, "step": 1, "question": ["x"], "answer": "y"}',
    '{"event": "error", "time": 1, "key": {}}',
    "{" * 2000 + "}",
    '{"event": "unreadable"}',
    '{"event": "metrics", "time": 1, "step": 99999999999999999999, "values": {}}',
    "not JSON",
]


@pytest.mark.parametrize("line", BAD_EVENTS)
def test_an_event_that_cannot_be_is_counted_and_the_others_stand(workspace, line):
    run = run_of(workspace, *EVENTS[:5], line, *EVENTS[5:])
    status = runs.status(run)
    assert (status.state, status.loss, status.unreadable) == ("failed", 0.5, 1)
    assert [one.key for one in run.faults(status)] == ["train.lines_unreadable"]
    assert "events.jsonl" in drawn(run_head, run_head.run_head(workspace, run.name))
    after = len("".join(json.dumps(one) + "\n" for one in EVENTS[:3]))
    assert (
        [point[1] for point in runs.metrics(run).series["loss"]]
        == [point[1] for point in runs.metrics(run, after).series["loss"]]
        == [1.5, 0.5]
    )


@pytest.mark.parametrize("odd", ["nan", "inf"])
def test_a_loss_that_is_no_number_does_not_leave_an_earlier_one_as_the_last(workspace, odd):
    run = run_of(workspace, *EVENTS[:5])
    assert runs.status(run).loss is not None
    run.say("metrics", step=9, values={"loss": odd})
    assert runs.status(run).loss is None
    run.say("metrics", step=10, values={"loss": 0.25})
    run.say("metrics", step=11, values={"eval_loss": 0.5})
    assert runs.status(run).loss == 0.25


def test_a_question_for_more_points_waits_for_them(workspace):
    run = run_of(workspace, *EVENTS[:5])
    since = runs.metrics(run).next
    asked = time.monotonic()
    assert runs.metrics(run, since, 0.15).series == {}
    assert time.monotonic() - asked >= 0.15
    later = threading.Timer(0.15, lambda: run.say("metrics", step=9, values={"loss": 0.25}))
    later.start()
    assert [point[1] for point in runs.metrics(run, since, 600).series["loss"]] == [0.25]
    later.join()
    for wait_s in (0.0, -1.0):  # what is new is told at once, and so is that nothing is
        assert (
            runs.metrics(run, since, wait_s).series and not runs.metrics(run, run.events_file.stat().st_size, 0).series
        )
    assert runs.metrics(run, 0, 600).series and runs.metrics(run, since + 10**6, 600).reset


def test_a_torn_line_and_a_kind_of_a_later_release_are_no_fault(workspace):
    run = run_of(
        workspace, *EVENTS[:5], '{"time": 1, "event": "metr', "", {"time": 1.0, "event": "later", "x": []}, *EVENTS[5:]
    )
    assert runs.status(run).unreadable == 0 and runs.status(run).loss == 0.5


def test_numbers_written_as_text_are_read_and_nothing_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(
        json.dumps(event("metrics", step=1, values={"loss": "0.5", "grad_norm": "nan", "x": None, "y": True})) + "\n"
    )
    assert events.read(path)[0][0]["values"] == {"loss": 0.5, "grad_norm": "nan", "y": 1.0}


def test_a_line_of_200_megabytes_is_not_kept_in_memory(workspace):
    run = run_of(workspace, *EVENTS[:5])
    with open(run.events_file, "ab") as file:
        file.write(b'{"x": "')
        for _ in range(200):
            file.write(b"x" * 2**20)
        file.write(b'"}\n')
        file.write(json.dumps(EVENTS[7]).encode() + b"\n")
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = runs.status(run)
    assert (status.loss, status.unreadable) == (0.5, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10


def test_a_line_may_lie_across_blocks(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event("step", step=number)) + "\n" for number in range(50)) + '{"time"')
    for block in (1, 7, 40, 64, 5000):
        monkeypatch.setattr(events.jsonl, "BLOCK", block)
        found, end = events.read(path)
        assert [one["step"] for one in found] == list(range(50)) and end == path.stat().st_size - 7, block


INFOS = [
    "[1]",
    "5",
    "null",
    "",
    "{",
    "[" * 100_000,
    '{"created": "soon"}',
    '{"created": 1e300}',
    '{"pid": "x"}',
    '{"pid": -1}',
    '{"devices": "0"}',
    '{"devices": [-1]}',
    '{"processes": 0}',
    '{"probes": "Who?"}',
    '{"title": 5}',
    '{"star": []}',
    '{"versions": []}',
    '{"python": {}}',
    '{"\\ud800": "\\udce9"}',
    '{"executor": ["worker"]}',
]


@pytest.mark.parametrize("text", INFOS)
def test_an_info_that_cannot_be_read_is_told_on_its_run(workspace, text):
    run = run_of(workspace, *EVENTS, run_json=text)
    assert runs.all_runs(workspace) == [run]
    (fault,) = run.faults(runs.status(run))
    assert (
        "run.json" in str(fault)
        and "run.json" in drawn(run_list, run_list.run_list(workspace), "zh")
        and "run.json" in drawn(run_head, run_head.run_head(workspace, run.name))
    )
    run.note(note="kept")
    assert run.info().note == "kept"


def test_the_good_fields_of_an_info_are_used_and_the_bad_file_is_kept(workspace):
    run = run_of(workspace, *EVENTS, run_json='{"created": "soon", "star": true, "later": [1]}')
    assert run.info().model_dump(exclude_unset=True) == {"star": True, "later": [1]}
    run.info_file.write_text("[1]")
    run.note(star=True)
    assert (run.folder / "run.json.damaged").read_text() == "[1]" and run.info() == RunInfo(star=True)
    assert run.faults(runs.status(run)) == []


RECIPES = [
    BOMB,
    "a: &a [*a]",
    "[" * 10_000,
    "- 1",
    "",
    "5",
    "a:\tb\n\tc: d",
    "stage: [sft]",
    "model_name_or_path: {}",
    "template: 5",
    "? [1]\n: 2",
    "1: 2",
    "x: !!python/object/apply:os.system ['id']",
    "x: !!int ''",
    "x: !!binary '###'",
    "a: 1\n--- \nb: 2",
    'x: "\\ud800"',
    "x: !!int " + "9" * 5000,
]


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_that_cannot_be_read_is_told_at_once_on_its_run(workspace, text):
    run = run_of(workspace, *EVENTS, recipe_yaml=text)
    with costs_at_most(20):
        with pytest.raises(Problem) as told:
            run.recipe()
        assert "recipe.yaml" in str(told.value) and "\n" not in str(told.value)
        assert "recipe.yaml" in drawn(run_head, run_head.run_head(workspace, run.name))
        assert "recipe.yaml" in drawn(run_list, run_list.run_list(workspace, "r-1"))
        assert runs.summary(run).problem.key == "train.recipe_unreadable" and runs.summary(run).dataset is None


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a [*a]",
        "[" * 10_000,
        "x: !!int ''",
        '{"a": ' * 5000,
        'top.x: 1\ntrain.extra_args: "[1]"',
        "top.x: 1\ntrain.extra_args: [1]",
    ],
)
def test_a_pasted_recipe_that_cannot_be_read_is_told(text, monkeypatch):
    monkeypatch.setattr(saved_recipes.arguments, "arguments", dict)
    with pytest.raises(Problem) as told:
        saved_recipes.recipe_reading.read(text)
    assert told.value.key == "train.import_unreadable" and "\n" not in str(told.value)


def test_what_aliases_may_stand_for_is_read_and_a_date_stays_text():
    assert yaml_file.parse("a: &a [1, 2]\nb: *a\nc: 2024-01-01\n<<: {d: 1e-4}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": "2024-01-01",
        "d": "1e-4",
    }


def test_a_recipe_that_is_no_utf_8_or_no_file(workspace):
    run = run_of(workspace, *EVENTS)
    for make in (
        lambda path: path.write_bytes(b"stage: \xff"),
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
    ):
        make(run.recipe_file)
        assert [one.key for one in run.faults(runs.status(run))] == ["train.recipe_unreadable"]
        run.recipe_file.rmdir() if run.recipe_file.is_dir() else run.recipe_file.unlink()


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "5",
        "x",
        '{"current_steps": "x"}',
        '{"current_steps": -1}',
        '{"total_steps": []}',
        '{"loss": {}}',
        '{"loss": "<b>"}',
        '{"elapsed_time": 5}',
        '{"epoch": "x"}',
        '{"epoch": NaN}',
    ],
)
def test_a_line_of_llamafactorys_log_that_cannot_be_is_counted(workspace, line):
    folder = workspace.saves / "m" / "lora" / "theirs"
    folder.mkdir(parents=True)
    (folder / llamaboard_runs.LOG).write_text(
        "\n".join(
            [json.dumps(ENTRY), line, json.dumps(ENTRY | {"current_steps": 2, "elapsed_time": "nan:1:2", "loss": 0.5})]
        )
    )
    run = runs.find(workspace, "m/lora/theirs")
    status = runs.status(run)
    assert (status.state, status.loss, status.unreadable) == ("finished", 0.5, 1) and llamaboard_runs.LOG in drawn(
        run_head, run_head.run_head(workspace, run.name), "zh"
    )


HUGE = 10**400  # JSON has it, Python reads it, and no float is as large


def test_a_whole_number_beyond_all_floats_spoils_no_list_and_no_comparison(workspace):
    state = workspace.saves / "m" / "lora" / "theirs" / llamaboard_runs.STATE
    state.parent.mkdir(parents=True)
    entry = {"step": 1, "epoch": HUGE, "loss": HUGE, "grad_norm": -HUGE, "flag": True}
    state.write_text(json.dumps({"global_step": 1, "max_steps": 1, "log_history": [entry]}))
    log = workspace.saves / "m" / "lora" / "logged" / llamaboard_runs.LOG
    log.parent.mkdir()
    log.write_text(json.dumps(ENTRY | {"loss": HUGE}))
    recipe = f"lora_rank: {HUGE}\nper_device_train_batch_size: {HUGE}\ncutoff_len: x\n"
    ours = run_of(workspace, *EVENTS, recipe_yaml=recipe)
    series = runs.status(runs.find(workspace, "m/lora/theirs")).series
    assert [series[name][0][1] for name in ("loss", "grad_norm", "flag")] == ["inf", "-inf", 1.0]
    assert runs.status(runs.find(workspace, "m/lora/logged")).series["loss"][0][1] == "inf"
    names = ["m/lora/theirs", "m/lora/logged", ours.name]
    html = drawn(run_list, run_list.run_list(workspace)) + "".join(
        drawn(run_head, run_head.run_head(workspace, name)) for name in names
    )
    assert all(f'data-pick="run:{name}"' in html for name in names)
    for sort in ("loss", "lora_rank"):
        rows = comparison.comparison(workspace, "|".join(names) + f"\n{sort}").rows
        assert {row.name for row in rows} == set(names)


def test_a_warning_of_another_release_is_told_among_the_notices(workspace):
    run = run_of(workspace, *EVENTS[:5], event("warning", step=1, key="train.of_2031", facts={"self": 1}))
    run.own()
    run.say("warning", step=2, key="train.warn_nan", facts={"step": 2})
    trainer = training_service.TrainingService(workspace, DeviceLease())
    for language in ("en", "zh"):
        train_notices, *_ = endpoints._of_notices(trainer, Words(language))
        told = [one.text for one in train_notices(1.0).notices]
        assert len(told) == 2 and Words(language)("records.old_sentence", name="train.of_2031") in told


def test_a_clock_that_is_set_tells_no_silence_and_ends_no_run(workspace, monkeypatch):
    run = run_of(
        workspace,
        *(
            {**one, "time": time.time() + number}
            for number, one in enumerate(
                [event("state", state="preparing"), FACTS, event("state", state="running"), event("step", step=1)]
            )
        ),
    )
    run.note(host="another machine")
    assert runs.status(run).state == "running" and notifications.silence(runs.status(run)) is None
    now = time.time()
    for jump in (86_400, -86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert (
            runs.status(run).state == "running"
            and notifications.silence(runs.status(run)) is None
            and (runs.status(run).eta() or 0) >= 0
        )
    monkeypatch.setattr(time, "time", lambda: now)
    running = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: running + 1000)
    assert runs.status(run).state == "interrupted"


@pytest.mark.parametrize("last", ["finished", "stopped", "failed"])
def test_a_run_that_ends_while_it_is_looked_at_ended_as_it_said(workspace, monkeypatch, last):
    run = run_of(workspace, event("state", state="preparing"), FACTS, event("state", state="running"))
    StopRequest(run.folder).ask(save=False)

    def ends(*_) -> bool:  # between the reading of what it said and the look at its process
        run.say("state", state=last)
        StopRequest(run.folder).withdraw()
        return False

    monkeypatch.setattr(progress, "_goes_on", ends)
    assert runs.status(run).state == last


def test_names_that_cannot_be_used_are_listed_with_their_reason(workspace):
    good = run_of(workspace, *EVENTS)
    for name in (b"m/lora/caf\xe9", b"m/lora/two\nlines", b"m/lora/-rf", b"m/l\xc3\xb6ra/<b>"):
        folder = os.fsencode(workspace.saves) + b"/" + name
        os.makedirs(folder)
        with open(folder + b"/events.jsonl", "w") as file:
            file.write(json.dumps(EVENTS[0]) + "\n")
    (workspace.root / "far" / "lora" / "x").mkdir(parents=True)
    (workspace.root / "far" / "lora" / "x" / "events.jsonl").write_text(json.dumps(EVENTS[0]) + "\n")
    (workspace.saves / "linked").symlink_to(workspace.root / "far")
    (workspace.saves / "circle").symlink_to("circle")
    (workspace.saves / "m" / "gone").symlink_to("nowhere")
    (workspace.saves / "m" / "lora" / "pipe").mkdir()
    os.mkfifo(workspace.saves / "m" / "lora" / "pipe" / "events.jsonl")
    usable, odd = runs.usable_and_odd(workspace)
    assert (
        usable == [good]
        and {fault.key for fault in odd.values()} == {"train.odd_name", "train.odd_link", "train.odd_events"}
        and len(odd) == 6
    )
    for run in usable:
        assert runs.find(workspace, run.name) == run
    for language in ("en", "zh"):
        html = drawn(run_list, run_list.run_list(workspace), language)
        assert html.count('class="warning"') == 6 and "<b>/" not in html


def test_a_link_within_saves_is_a_run_that_can_be_used(workspace):
    run_of(workspace, *EVENTS)
    (workspace.saves / "again").symlink_to(workspace.saves / "m")
    assert {run.name for run in runs.all_runs(workspace)} == {"m/lora/r-1", "again/lora/r-1"}
    assert runs.find(workspace, "again/lora/r-1").folder.is_dir() and not listing.scan(workspace.saves).odd


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[1]", []),
        ("{", []),
        ('{"waiting": 5}', []),
        ('{"waiting": [5, {"run": "m/lora/r-1"}]}', ["m/lora/r-1"]),
        ('{"waiting": [{"resume": "checkpoint-1"}, {"run": "m/lora/r-1", "resume": "checkpoint-1"}]}', ["m/lora/r-1"]),
        (
            (
                '{"waiting": [{"run": "m/lora/r-1", "resume": "../../x"}, {"run": "../../x/y"}, {"run": "/etc/a/b"},'
                ' {"run": ["x"]}], "keeper": "me"}'
            ),
            [],
        ),
    ],
)
def test_an_order_that_cannot_be_is_left_out_and_told(workspace, text, kept):
    path = workspace.saves / queue.FILE
    path.write_text(text)
    waiting = queue.Queue(workspace.saves)
    assert [queued.run for queued in waiting.waiting()] == kept and waiting.at_work() == []
    assert waiting.faults() and ".queue.json" in drawn(now_running, now_running.now_running(workspace))
    waiting.add(queue.new_queued_run("m/lora/r-2"))
    assert [queued.run for queued in waiting.waiting()] == [*kept, "m/lora/r-2"] and waiting.faults() == []
    assert path.with_name(".queue.json.damaged").read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        '{"webhook": 5}',
        '{"webhook": "file:///etc/passwd"}',
        '{"webhook": "http://[abc"}',
        '{"webhook": "http://here:port/x"}',
        '{"language": "xx"}',
        '{"webhook": ["http://x"]}',
    ],
)
def test_a_file_of_notices_that_cannot_be_read_is_told_and_sends_nothing(workspace, text, monkeypatch):
    monkeypatch.delenv("STUDIO_WEBHOOK", raising=False)
    kept = notifications.file(workspace.saves)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(text)
    assert notifications.webhook(workspace.saves) == "" and kept.name in str(notifications.fault(workspace.saves))
    notifications.set_webhook(workspace.saves, "http://127.0.0.1:9/x")
    assert notifications.host(workspace.saves) == "127.0.0.1" and notifications.fault(workspace.saves) is None


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        ("no.such", {}),
        ("train.no_run", {}),
        ("train.no_run", {"run": "x", "key": "y", "self": "z", "event": 1}),
        ("train.left", {"time": ["x"]}),
        ("../../x", {"key": "y"}),
        ("", {}),
    ],
)
def test_a_sentence_that_was_kept_is_told_whatever_its_facts_are(key, facts):
    kept = Sentence(key=key, facts=facts)
    for language in ("en", "zh"):
        assert kept.tell(Words(language)) and str(kept.problem())
