"""Reasons that come from libraries are told in the language of the page; what has no words there is a quotation."""

import errno
import json
import os
import re
import signal
import socket
from typing import Annotated, Literal

import httpx
import orjson
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from studio.core import reasons
from studio.core.i18n import Problem, Words, sentences
from studio.core.plain import plain
from studio.core.processes.child import Child
from studio.core.sentences import Sentence
from studio.core.storage import files, yaml_file

ENGLISH = re.compile(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}")  # three words in a row


def caught(work, *arguments) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: B017 (whatever the library throws)
        work(*arguments)
    return error.value


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    whole: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    text: Annotated[str, Field(max_length=3, pattern="^a")] = "a"
    kind: Literal["a", "b"] = "a"
    yes: bool = True
    several: list[int] = []
    more: dict[str, int] = {}


class Outer(BaseModel):
    inner: Inner
    items: list[Inner] = []


WRONG = [
    {},
    {"inner": 1},
    {"inner": {"whole": "x"}},
    {"inner": {"whole": 1.5}},
    {"inner": {"whole": 0}},
    {"inner": {"whole": 10}},
    {"inner": {"share": 0}},
    {"inner": {"share": 1}},
    {"inner": {"share": float("nan")}},
    {"inner": {"share": "x"}},
    {"inner": {"text": 1}},
    {"inner": {"text": "aaaa"}},
    {"inner": {"text": "b"}},
    {"inner": {"kind": "c"}},
    {"inner": {"yes": "x"}},
    {"inner": {"several": 1}},
    {"inner": {"more": 1}},
    {"inner": {"other": 1}},
    {"inner": {}, "items": [{}, {"whole": 0}]},
]
JSON = ["", "{", '{"a" 1}', '{"a": }', "[1 2]", '{"a": 1,}', '"a', '"a\n"', '"\\x"', "1 2", "{a: 1}", '"\\u12"']
YAML = [
    "a: [",
    "a: b: c",
    "a:\n\t- b",
    "a: @b",
    "a: *b",
    "a: 'b",
    "- a\nb: c",
    "a: !nothing b",
    'a: "\\q"',
    "a\nb: c\n",
]
NUMBERS = sorted({*reasons.OS_KINDS})


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_field_is_told_in_chinese(wrong):
    name, reason = reasons.field(caught(Outer.model_validate, wrong))
    told = Words("zh")("records.wrong_field", file="f.json", field=name, reason=reason)
    assert reason.key != "reasons.original" and not ENGLISH.search(told), told
    assert not re.search("[一-鿿]", str(reason))


@pytest.mark.parametrize("text", JSON)
def test_broken_json_is_told_in_chinese_with_its_place(text):
    error = caught(json.loads, text)
    reason = reasons.of(error)
    told = Words("zh")("records.no_json", file="f.json", reason=reason)
    assert f"第 {error.lineno} 行第 {error.colno} 列" in told and not ENGLISH.search(told), told
    assert reasons.kind(error) == reason.facts["reason"]


@pytest.mark.parametrize("text", YAML)
def test_broken_yaml_is_told_in_chinese_with_its_place(text):
    error = caught(yaml_file.parse, text)
    assert isinstance(error.__cause__, yaml.YAMLError)
    told = Words("zh")("records.no_yaml", file="f.yaml", reason=reasons.of(error))
    assert re.search("第 [0-9]+ 行第 [0-9]+ 列", told) and not ENGLISH.search(told), told


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
def test_what_the_system_refuses_is_told_in_chinese(number):
    reason = reasons.of(OSError(number, os.strerror(number), "/a/path"))
    told = Words("zh")("workspace.unwritable", path="/a/path", reason=reason)
    assert not ENGLISH.search(told) and "Errno" not in told, told


@pytest.mark.parametrize("name", reasons.END_KINDS)
def test_a_program_that_a_signal_ended_is_told_as_that_and_not_by_what_it_said(name):
    with Child(["/bin/sh", "-c", f"kill -{name.removeprefix('SIG')} $$"]) as child:
        code = child.wait()
    reason = reasons.of_end(code, "AMX is not ready to be used!")
    told = Words("zh")("deploy.fault_signal", reason=reason)
    assert (
        "AMX" not in told
        and not ENGLISH.search(told)
        and ("{signal}" not in sentences("zh")[reason.key] or name in told)
    )
    assert reasons.of_end(128 - code) == reason  # as a shell ends
    assert reasons.of_end(code) == reasons.of_signal(code) == reason


def test_a_program_that_ended_by_itself_is_told_by_what_it_said():
    assert str(reasons.of_end(1, "no such flag")) == "no such flag"
    assert str(reasons.of_end(-signal.SIGABRT, "GGML_ASSERT failed")) == "GGML_ASSERT failed"
    assert "3" in str(reasons.of_end(3)) and reasons.of_end(None) == {"key": "reasons.timed_out", "facts": {}}


def test_files_that_are_none_are_told_in_chinese(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    for work, path in (
        (files.open_file, "pipe"),
        (files.open_file, "a\0b"),
        (files.read_text, "."),
        (yaml_file.read, "x"),
    ):
        assert not ENGLISH.search(
            Words("zh").tell(Problem("train.preview_failed", reason=reasons.of(caught(work, tmp_path / path))))
        )
    assert "第 4 个字节" in Words("zh").tell(caught(yaml_file.read, tmp_path / "latin.yaml"))


@pytest.mark.parametrize(
    ("error", "words", "with_kind"),
    [
        (RuntimeError("size mismatch\nfor x"), "size mismatch for x", "RuntimeError: size mismatch for x"),
        (OSError(12345, "odd drive"), "odd drive", "OSError: [Errno 12345] odd drive"),
        (OSError("no tokenizer here"), "no tokenizer here", "OSError: no tokenizer here"),
        (ValueError("seven"), "seven", "ValueError: seven"),
        (ImportError("No module named 'x'"), "No module named 'x'", "ImportError: No module named 'x'"),
        (ValueError(), "ValueError", "ValueError"),
        (KeyError("a"), "KeyError: 'a'", "KeyError: 'a'"),
    ],
    ids=repr,
)
def test_words_of_a_library_that_nobody_knows_are_a_quotation(error, words, with_kind):
    for reason, text in ((reasons.of(error), words), (reasons.of_fault(error), with_kind)):
        assert reason.key == "reasons.original" and reason.facts == {"text": text}
        assert text in Words("en")("train.preview_failed", reason=reason)
        assert Words("zh")("train.preview_failed", reason=reason).count(f"原文：{text}") == 1


def test_a_fault_that_has_words_of_its_own_is_told_in_these():
    for error in (FileNotFoundError(errno.ENOENT, "x"), Problem("jobs.missing", job="x"), MemoryError()):
        assert reasons.of_fault(error) == reasons.of(error) and reasons.of(error).key != "reasons.original"


def test_a_quotation_is_not_endless():
    assert len(str(reasons.of(RuntimeError("x" * 9999)))) < 400


def test_a_reason_goes_to_disk_and_comes_back_in_any_language():
    problem = Problem("workspace.unwritable", path="/a", reason=reasons.of(PermissionError(errno.EACCES, "x")))
    for way in (plain, lambda facts: json.loads(json.dumps(facts)), lambda facts: orjson.loads(orjson.dumps(facts))):
        back = Sentence(key=problem.key, facts=way(problem.facts))
        for language in ("en", "zh"):
            words = Words(language)
            assert back.tell(words) == words.tell(problem) == words.tell(back.problem())
    assert "没有权限" in Words("zh").tell(problem) and "permission denied" in str(problem)


def test_a_fact_that_is_no_reason_stays_what_it_is():
    words = Words("zh")
    for odd in ({"key": 1, "facts": {}}, {"key": "reasons.none", "facts": {}}):
        assert "key" in words("records.no_json", file="f", reason=odd)
    assert Sentence(key="records.no_json", facts={"file": "f", "reason": {"key": "reasons.at", "facts": {}}}).tell(
        words
    )


@pytest.mark.parametrize(
    ("below", "told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nothing answers at this address"),
        (socket.gaierror(-2, "Name or service not known"), "no server of this name is known here"),
        (TimeoutError(), "it did not answer in time"),
        (OSError(errno.ENETUNREACH, "unreachable"), "the network does not reach it"),
        (None, "ConnectError"),
    ],
)
def test_what_was_not_reached_is_told_by_what_the_system_said(below, told):
    error = httpx.ConnectError("[Errno 1] words of a library")
    error.__cause__ = below
    assert str(reasons.network(error)) == told


def test_of_an_answer_that_refuses_its_status_is_told():
    answer = httpx.Response(404, request=httpx.Request("GET", "http://a.invalid"))
    with pytest.raises(httpx.HTTPStatusError) as refused:
        answer.raise_for_status()
    assert "404" in str(reasons.network(refused.value))
