"""A load test as a file: CSV, JSON or Markdown."""

import json
from dataclasses import asdict

from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.core.storage.csv_text import csv_text
from studio.deploy.load_test.load_settings import LoadRequest
from studio.deploy.load_test.load_summary import Spread, StepSummary

FORMS = ("md", "csv", "json")
TIMES = ("ttft", "itl", "tpot", "latency")


def report_file(request: LoadRequest, steps: tuple[StepSummary, ...], form: str) -> str:
    """Return the text of a file; its figures are not rounded in CSV and JSON. Raises Problem for another form."""
    if form not in FORMS:
        raise Problem("load_test.no_form", form=form, known=", ".join(FORMS))
    return {"csv": _csv, "json": _json, "md": _markdown}[form](request, steps)


def line_of(step: StepSummary) -> dict[str, object]:
    """Return a step as the fields of a flat line; times are in milliseconds."""
    line = {
        "server": step.name,
        "concurrency": step.concurrency,
        "answered": step.answered,
        "failed": step.failed,
        "seconds": step.seconds,
        "requests_per_s": step.requests_s,
        "good_requests_per_s": step.good,
        "tokens_per_s": step.tokens_s,
        "prompt_tokens": step.prompt_tokens,
        "output_tokens": step.tokens,
        "tokens_counted_by": "server" if step.is_counted else "pieces",
        "engine_output_tokens": step.engine_tokens,
        "memory_bytes": step.memory,
    }
    for name in TIMES:
        spread: Spread = getattr(step, name)
        line |= {f"{name}_{part}_ms": None if one is None else 1000 * one for part, one in asdict(spread).items()}
    return line


def _csv(_: LoadRequest, steps: tuple[StepSummary, ...]) -> str:
    lines = [line_of(one) for one in steps]
    return csv_text([list(lines[0]) if lines else ["server"], *(line.values() for line in lines)])


def _json(request: LoadRequest, steps: tuple[StepSummary, ...]) -> str:
    faults = [[{"key": one.key, "count": count} for one, count in step.faults] for step in steps]
    lines = [line_of(one) | {"faults": told} for one, told in zip(steps, faults, strict=True)]
    return json.dumps(plain({"test": request.model_dump(), "steps": lines}), ensure_ascii=False, indent=2)


def _markdown(request: LoadRequest, steps: tuple[StepSummary, ...]) -> str:
    settings = request.settings
    prompts = settings.dataset or f"made, {settings.prompt_tokens} tokens"
    head = "| server | at a time | answered | failed | requests/s | tokens/s | TTFT ms | ITL ms | TPOT ms |"
    answers = f"up to {settings.max_tokens} tokens, temperature {settings.temperature:g}"
    lines = [
        f"# {_cell(str(request.title))}",
        "",
        f"Prompts: {_cell(prompts)}. Answers: {answers}. Times: 50 / 95 / 99 %.",
        "",
        head,
        "|---|" + "---:|" * (head.count("|") - 2),
    ]
    for step in steps:
        cells = [
            _cell(step.name),
            step.concurrency,
            step.answered,
            step.failed,
            f"{step.requests_s:.2f}",
            f"{step.tokens_s:.1f}",
            *[_times(getattr(step, name)) for name in TIMES[:3]],
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _times(spread: Spread) -> str:
    known = (spread.p50, spread.p95, spread.p99)
    return "–" if spread.p50 is None else " / ".join(f"{1000 * one:.1f}" for one in known if one is not None)


def _cell(text: str) -> str:
    """Return a text such that it stays one cell and one line of Markdown."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
