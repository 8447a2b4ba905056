"""The password by flag, file or environment, and the launcher's flags that keep it out of the list of processes."""

import os

import pytest

import launch
from studio.__main__ import address
from studio.core import installing
from studio.core.i18n import Problem
from studio.web.guard.credentials import certificate, credentials


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("STUDIO_AUTH", raising=False)


def keys(told):
    return [one.key.removeprefix("guard.") for one in told]


def test_it_comes_from_the_flag_and_the_person_is_told_who_sees_it():
    auth, told = credentials("127.0.0.1", "me:pass:word")
    assert auth == ("me", "pass:word") and keys(told) == ["auth_seen"]


def test_it_comes_from_the_environment_and_no_child_inherits_it(monkeypatch):
    monkeypatch.setenv("STUDIO_AUTH", "me:密码")
    assert credentials("127.0.0.1", None) == (("me", "密码"), [])
    assert "STUDIO_AUTH" not in os.environ


@pytest.mark.parametrize("text", ["me:word", "me:word\n", "me:word\r\nmore", "\ufeffme:word\n"])
def test_it_comes_from_the_first_line_of_a_file(tmp_path, text):
    file = tmp_path / "word"
    file.write_bytes(text.encode())
    file.chmod(0o600)
    assert credentials("127.0.0.1", None, file) == (("me", "word"), [])
    file.chmod(0o644)
    assert keys(credentials("127.0.0.1", None, file)[1]) == ["auth_file_open"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gpu-box"])
def test_where_others_reach_it_one_is_made(host):
    auth, told = credentials(host, None)
    assert auth[0] == "studio" and len(auth[1]) >= 16 and keys(told) == ["auth_made"] and auth[1] in str(told[0])
    assert "password_short" in keys(credentials(host, "me:short")[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_this_machine_alone_none_is_asked(host):
    assert credentials(host, None) == (None, [])


@pytest.mark.parametrize("text", ["", ":", "me", "me:", ":word", " :word"])
def test_what_is_no_name_and_password_is_told_from_where(text, monkeypatch, tmp_path):
    (tmp_path / "word").write_text(text)
    monkeypatch.setenv("STUDIO_AUTH", text)
    for given, source in (
        (lambda: credentials("127.0.0.1", None), "STUDIO_AUTH"),
        (lambda: credentials("127.0.0.1", text), "--auth"),
        (lambda: credentials("127.0.0.1", None, tmp_path / "word"), str(tmp_path / "word")),
    ):
        with pytest.raises(Problem) as told:
            given()
        assert source in str(told.value)


def test_twice_or_from_no_file_is_told(tmp_path, monkeypatch):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for file in (tmp_path / "gone", tmp_path, tmp_path / "bytes"):
        with pytest.raises(Problem) as told:
            credentials("127.0.0.1", None, file)
        assert str(file) in str(told.value)
    monkeypatch.setenv("STUDIO_AUTH", "me:word")
    with pytest.raises(Problem):
        credentials("127.0.0.1", "me:word")


def test_no_certificate_is_no_https_and_half_a_pair_is_told(tmp_path):
    assert certificate(None, None) == {}
    for pair in ((tmp_path, None), (None, tmp_path), (tmp_path, tmp_path)):
        with pytest.raises(Problem):
            certificate(*pair)


def test_the_address_that_is_told():
    assert address("127.0.0.1", 7860, "", False) == "http://127.0.0.1:7860"
    assert address("::1", 7860, "/a", True) == "https://[::1]:7860/a"
    assert address("127.0.0.1", 7860, "https://gpu.example.com/a", False) == "https://gpu.example.com/a"


def test_the_launcher_hands_the_password_on_by_the_environment(monkeypatch, tmp_path):
    handed = []
    monkeypatch.setattr(os, "execv", lambda program, command: handed.append((command, os.environ.get("STUDIO_AUTH"))))
    monkeypatch.setattr(os, "fork", lambda: 1)
    monkeypatch.setattr(os, "waitpid", lambda *_: None)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setenv("STUDIO_AUTH", "me:secret-word")
    voice = launch.Voice("en")
    launch.start(
        launch.parse(
            [
                "--auth",
                "me:secret-word",
                "--allowed-host",
                "a",
                "--allowed-host",
                "b",
                "--port",
                "7",
                "--ssl-certfile",
                "c.pem",
                "--ssl-keyfile",
                "k.pem",
            ]
        ),
        voice,
    )
    command, variable = handed[0]
    assert variable == "me:secret-word" and not any("secret-word" in part for part in command)
    assert [command[at + 1] for at, part in enumerate(command) if part == "--allowed-host"] == ["a", "b"]
    assert command[command.index("--ssl-certfile") + 1] == os.path.abspath("c.pem")
    with pytest.raises(installing.Fault):
        launch.start(launch.parse(["--auth", "me:other"]), voice)
    launch.start(launch.parse(["--auth-file", "word", "--framed-by", "http://localhost:8888"]), voice)
    command, _ = handed[1]
    assert command[command.index("--auth-file") + 1] == os.path.abspath("word") and "http://localhost:8888" in command
