"""Finds, in a command, the program of LLaMA-Factory that it runs: what stands before it belongs to a launcher, what
stands behind it are settings.
"""

import re
from dataclasses import dataclass, field

from studio.train.recipe.importing.result import LeftOut, hidden
from studio.train.recipe.importing.shell import Command, Word

# What each program of LLaMA-Factory does, in this release (`llamafactory-cli <command>`) and as the scripts of older
# ones.
COMMANDS = {
    "train": "training",
    "export": "merge",
    "chat": "chat",
    "webchat": "chat",
    "api": "serve",
    "eval": "benchmark",
    "webui": "board",
    "env": "other",
    "version": "other",
    "help": "other",
}
SCRIPTS = {
    "train": "training",
    "train_bash": "training",
    "launcher": "training",
    "export_model": "merge",
    "cli_demo": "chat",
    "web_demo": "chat",
    "webchat": "chat",
    "api_demo": "serve",
    "api": "serve",
    "evaluate": "benchmark",
    "train_web": "board",
    "webui": "board",
}
_CLI = re.compile(r"(?:.*[/\\])?(?:llamafactory-cli|lmf)(?:\.exe)?", re.IGNORECASE)
_SCRIPT = re.compile(r"(?:.*[/\\])?(?P<name>\w+)\.py", re.IGNORECASE)
_MODULE = re.compile(r"llamafactory(?:\.\w+)*", re.IGNORECASE)
_FILE = re.compile(r".*\.(?:ya?ml|json)", re.IGNORECASE)
_SHELL_FILE = re.compile(r".*\.(?:sh|bash|bat|cmd|ps1|slurm|sbatch)", re.IGNORECASE)
_SHELLS = ("bash", "sh", "zsh", "source", ".", "sbatch", "call", "cmd", "powershell", "pwsh")
_INLINE = re.compile(r"[A-Za-z_]\w*=.*", re.S)
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass
class Launch:
    """A command that runs LLaMA-Factory: what it does, the recipe file that it names, and the words behind it."""

    kind: str
    words: list[Word]
    shown: str
    file: str | None = None
    devices: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def of(command: Command, variables: dict[str, str]) -> Launch | None:
    """Return what a command starts of LLaMA-Factory, None where it starts nothing of it. `variables` were set before
    it.
    """
    words, start, kind = command.words, None, "training"
    if command.piped:
        return None
    if inline_script(command) is not None:
        return None  # its command is one word, which `reading` reads as a text of its own
    for place, word in enumerate(words):
        if _CLI.fullmatch(word.text):
            following = words[place + 1].text if place + 1 < len(words) else "help"
            start, kind = place + 2, COMMANDS.get(following, "other")
            if following.startswith("--") or _FILE.fullmatch(following):
                start, kind = place + 1, "training"
            break
        if _MODULE.fullmatch(word.text) and place and words[place - 1].text in ("-m", "--module"):
            following = words[place + 1].text if place + 1 < len(words) else ""
            start, kind = (place + 2, COMMANDS[following]) if following in COMMANDS else (place + 1, "training")
            break
        script = _SCRIPT.fullmatch(word.text)
        if script and not word.text.startswith("--"):
            start, kind = place + 1, SCRIPTS.get(script["name"].lower(), "training")
            if script["name"].lower() == "cli" and place + 1 < len(words) and words[place + 1].text in COMMANDS:
                start, kind = place + 2, COMMANDS[words[place + 1].text]
            break
    if start is None and words and words[0].text.startswith("--"):
        start = 0
    if start is None:
        return _of_shell_file(command)
    return _launch(command, start, kind, variables)


def inline_script(command: Command) -> str | None:
    """Return the text that a command hands to a shell (`bash -c "..."`), None where it hands it none."""
    texts = [word.text for word in command.words]
    for place, text in enumerate(texts[:-1]):
        if text in ("-c", "-lc", "/c", "-Command") and place and texts[place - 1].rsplit("/", 1)[-1] in _SHELLS:
            return texts[place + 1]
    return None


def _of_shell_file(command: Command) -> Launch | None:
    """Return the launch of a script of the shell, whose text is not here."""
    words = [word.text for word in command.words if not _INLINE.fullmatch(word.text)]
    name = next((word for word in words if _SHELL_FILE.fullmatch(word)), None)
    if name and (words[0] in _SHELLS or words[0] == name):
        return Launch("training", [], command.shown(), file=name)
    return None


def _launch(command: Command, start: int, kind: str, variables: dict[str, str]) -> Launch:
    before, words = command.words[:start], command.words[start:]
    inline = [word.text.split("=", 1) for word in before if _INLINE.fullmatch(word.text)]
    environment = variables | dict(inline)
    launch = Launch(kind, words, command.shown())
    if words and _FILE.fullmatch(words[0].text):
        launch.file, launch.words = words[0].text, words[1:]
    numbers = str(environment.pop(_VISIBLE, "")).replace(" ", "")
    if re.fullmatch(r"\d+(?:,\d+)*", numbers):
        launch.devices = [int(one) for one in numbers.split(",")]
    elif numbers:
        launch.left_out.append(LeftOut(f"{_VISIBLE}={numbers}", "environment"))
    for name, value in environment.items():
        launch.kind = (
            {"USE_MCA": "megatron", "USE_V1": "v1"}.get(name, launch.kind)
            if str(value).lower() in ("1", "true", "y")
            else launch.kind
        )
        launch.left_out.append(
            LeftOut(hidden(name, " ".join(value) if isinstance(value, list) else value), "environment")
        )
    launcher = [word.text for word in before if not _INLINE.fullmatch(word.text)]
    if any(not _plain(word) for word in launcher):
        launch.left_out.append(LeftOut(" ".join(launcher), "launcher"))
    launch.left_out += [LeftOut(one, "redirection") for one in command.redirections]
    return launch


def _plain(word: str) -> bool:
    """Tell whether a word before the settings only names LLaMA-Factory's own program, and says nothing else."""
    return bool(
        _CLI.fullmatch(word)
        or _MODULE.fullmatch(word)
        or word in COMMANDS
        or word == "-m"
        or re.fullmatch(r".*(?:python[\d.]*(?:\.exe)?|train(?:_bash)?\.py|launcher\.py|cli\.py)", word)
    )
