"""The prompt recorder between a client and llama.cpp's server: the time to the first token, and tokens a second."""

import tempfile
from pathlib import Path

from benchmarks import engines
from benchmarks.report import Row, streamed
from benchmarks.served import bare
from studio.core.workspace import Workspace
from studio.deploy.prompt_recorder.recorder_service import PromptRecorders
from studio.inference.remote.servers import ServerRegistry
from studio.inference.sampling import Sampling

RUNS = 15
REACH_FIRST_S = 0.005
REACH_PACE = 0.98
TOKENS = 128


def measure(runs: int, quick: bool) -> list[Row]:
    """Ask the same engine through the recorder and directly in turn; return the rows of first token and pace."""
    sampling = Sampling(temperature=0, max_tokens=16 if quick else TOKENS)
    first, pace = ([], []), ([], [])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace").prepare()
        servers = ServerRegistry(workspace)
        recorders = PromptRecorders(workspace, servers)
        with engines.llama_cpp(engines.starter_gguf(folder), folder / "engine.log") as engine:
            servers.add(engine.url, name="here")
            try:
                ports = (recorders.start("here").port, engine.port)
                for number in range(runs + 1):
                    for place in (0, 1) if number % 2 else (1, 0):
                        # Questions of one length, so that neither side finds its prompt in the engine's cache.
                        question = f"{100 + 2 * number + place}. Write a long story about a lighthouse."
                        seconds, tokens_per_s = bare(ports[place], question, sampling)
                        if number:  # the first of each also opens what it needs
                            first[place].append(seconds)
                            pace[place].append(tokens_per_s)
            finally:
                recorders.close()
    return streamed(
        "recorder",
        "from the question to its first token through the recorder, against the engine itself",
        f"tokens a second of {sampling.max_tokens} tokens through the recorder (higher is better)",
        first,
        pace,
        (REACH_FIRST_S, REACH_PACE),
    )
