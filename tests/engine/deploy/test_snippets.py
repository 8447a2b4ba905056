"""The programs that the page gives are run as they are pasted, against a real engine."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from studio.deploy.clients.snippets import KEY_VARIABLE, QUESTION, snippets
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget

RUN = {"bash": ["bash", "-c"], "python": [sys.executable, "-c"], "javascript": ["node", "--input-type=module", "-e"]}


@pytest.mark.parametrize("name", ["curl", "Python (openai)", "JavaScript (fetch)"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_program_answers_as_pasted(llama_engine, name, streams):
    with openai_client.client(llama_engine.url) as client:
        target = ServedTarget("c", llama_engine.url, client.models.list().data[0].id)
    (found,) = [one for one in snippets(target, True) if (one.name, one.streams) == (name, streams)]
    command = RUN[found.language]
    if not shutil.which(command[0]):
        pytest.skip(f"this machine has no {command[0]}")
    # A program asks for as many tokens as the engine likes; a test has no time for that.
    short = {"bash": ('"model"', '"max_tokens": 8, "model"'), "python": ("    model=", "    max_tokens=8, model=")}
    old, new = short.get(found.language, ("    model:", "    max_tokens: 8, model:"))
    code = found.code.replace(old, new, 1)
    assert code != found.code and KEY_VARIABLE in code
    environment = {**os.environ, KEY_VARIABLE: "any"}
    done = subprocess.run([*command, code], capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0 and re.search("[a-z]{3}", done.stdout), done.stderr
    if name == "curl":
        assert '"content"' in done.stdout and (done.stdout.startswith("data: ") is streams)


def test_whatever_a_model_is_called_stays_text():
    odd = 'it\'s "a" $(touch x) `y` ${z}\\\n</script>'
    for one in snippets(ServedTarget("c", "http://127.0.0.1:1/v1", odd), False, is_ollama=True):
        if one.language == "python":
            compile(one.code, "snippet", "exec")
        elif one.language == "bash":
            done = subprocess.run(["bash", "-c", one.code.replace("curl ", "echo ", 1)], capture_output=True, text=True)
            assert "$(touch x)" in done.stdout and "it's" in done.stdout
        elif shutil.which("node"):
            code = re.sub(r"(?m)^import .*$", "", one.code)
            check = ["node", "--input-type=module", "--check", "-"]
            assert subprocess.run(check, input=code, capture_output=True, text=True).returncode == 0
        assert QUESTION in one.code
