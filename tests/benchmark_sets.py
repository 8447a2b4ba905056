"""Benchmarks written for these tests, in the layouts of MMLU, C-Eval and CMMLU: no question of theirs is in them."""

import csv
import json
import random
from pathlib import Path

CATEGORIES = ("STEM", "Social Sciences", "Humanities", "Other")
THINGS = ("stone", "river", "lamp", "bridge", "garden", "window", "letter", "wheel", "harbour", "violin", "None", "0")


def item(subject: int, number: int, chance: random.Random) -> tuple[str, list[str], str]:
    """Return a question, four choices and the letter of the right one."""
    choices = chance.sample(THINGS, 4)
    place = chance.randrange(4)
    question = f"In room {subject}, which of these lies on shelf {number}, beside the {chance.choice(THINGS)}?"
    return question, choices, "ABCD"[place]


def rows(subject: int, part: str, count: int) -> list[tuple[str, list[str], str]]:
    chance = random.Random(f"{subject}-{part}")
    return [item(subject, number, chance) for number in range(count)]


def write_table(file: Path, header: list[str] | None, lines: list[list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([*([header] if header else []), *lines])


def write_mapping(folder: Path, subjects: int) -> None:
    mapping = {
        f"room_{number}": {"name": f"room number {number}", "category": CATEGORIES[number % 4]}
        for number in reversed(range(subjects))
    }
    (folder / "mapping.json").write_text(json.dumps(mapping, indent=1))


def mmlu(folder: Path, subjects: int = 20, questions: int = 4, dev: int = 5, mapping: bool = True) -> Path:
    """Write a set as MMLU is laid out: no header; dev, val and test."""
    for number in range(subjects):
        for part, count in (("dev", dev), ("val", 2), ("test", questions)):
            lines = [[question, *choices, answer] for question, choices, answer in rows(number, part, count)]
            write_table(folder / "data" / part / f"room_{number}_{part}.csv", None, lines)
    if mapping:
        write_mapping(folder, subjects)
    return folder


def ceval(folder: Path, subjects: int = 3, questions: int = 4, val: bool = True) -> Path:
    """Write a set as C-Eval is laid out: the test has no answers."""
    for number in range(subjects):
        parts = (("dev", 5), ("test", questions), *((("val", questions),) if val else ()))
        for part, count in parts:
            found = rows(number, part, count)
            header = ["id", "question", *"ABCD", *(["answer"] if part != "test" else [])]
            header += ["explanation"] if part == "dev" else []
            lines = [
                [str(at), f"第{at}题：{question}", *choices, answer, "因为。"][: len(header)]
                for at, (question, choices, answer) in enumerate(found)
            ]
            write_table(folder / part / f"room_{number}_{part}.csv", header, lines)
    write_mapping(folder, subjects)
    return folder


def cmmlu(folder: Path, subjects: int = 3, questions: int = 4) -> Path:
    """Write a set as CMMLU is laid out: a column without a name, capital letters."""
    for number in range(subjects):
        for part, count in (("dev", 5), ("test", questions)):
            lines = [
                [str(at), f"第{at}题：{question}", *choices, answer]
                for at, (question, choices, answer) in enumerate(rows(number, part, count))
            ]
            write_table(folder / part / f"room_{number}.csv", ["", "Question", *"ABCD", "Answer"], lines)
    return folder
