"""What form some rows have: every form that their fields' names allow is tried by the reading that would convert
them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from studio.core.i18n import Problem
from studio.datasets.schema import names, tool_definitions
from studio.datasets.schema.mapping import FORMS, Mapping
from studio.datasets.schema.names import COLUMNS, CONTENT_KEYS, PAIRS, REJECTED, ROLE_KEYS, named
from studio.datasets.schema.observed_schema import MEDIA
from studio.datasets.schema.row_faults import UnusableRow
from studio.datasets.schema.row_reader import RowReader, history_of, system_of
from studio.datasets.schema.turns import is_talk, listed, spoken

# A form is taken where it reads at least this share of the rows: a few bad rows do not make another form of a file.
READS = 0.5


def fields_of(rows: Iterable[dict]) -> list[str]:
    """Return the names of the fields of some rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def recognise(rows: Sequence[dict]) -> Mapping:
    """Return the likeliest mapping of some rows; one whose `missing()` is not empty where it is for the person to say.

    Fields are chosen by name, where their values fit the name; shape decides only between fields whose names say
    nothing. Of the forms
    that read most rows the first one wins, and within a form the mapping that takes up most fields.

    Raises:
        Problem: there is no row to look at, or its form is one that LLaMA-Factory cannot train on.
    """
    if not rows:
        raise Problem("datasets.nothing_to_recognise")
    sample = Sample(rows)
    if sample.is_empty():
        raise Problem("datasets.no_values", rows=f"{len(rows):,}")
    best: tuple[float, Mapping] | None = None
    for group in (
        sample.pairs,
        sample.judged,
        sample.conversations,
        sample.scored,
        sample.one_turn,
        sample.nameless,
        sample.texts,
    ):
        read = [(sample.share(mapping), mapping) for mapping in group()]
        if not read:
            continue
        share, mapping = max(
            read, key=lambda each: (each[0] >= READS, each[0] if each[0] < READS else len(each[1].columns))
        )
        if share >= READS:
            return mapping
        if share and (best is None or share > best[0]):
            best = share, mapping
    if best:
        return best[1]
    sample.refuse_unsupported()
    return sample.unclear()


class Sample:
    """Some rows of a file, and which of their fields are called what and hold what."""

    def __init__(self, rows: Sequence[dict]):
        self.rows = rows
        self.fields = fields_of(rows)
        self._values = {name: [row[name] for row in rows if not _silent(row.get(name))] for name in self.fields}

    def is_empty(self) -> bool:
        """Tell whether no row has a value in any field."""
        return not any(self._values.values())

    def share(self, mapping: Mapping) -> float:
        """Return which share of the rows a mapping reads, of those that say anything of what it must have."""
        needed = [name for column, name in mapping.columns.items() if f"{column}*" in FORMS[mapping.form]]
        telling = [row for row in self.rows if not all(_silent(row.get(name)) for name in needed)]
        reader = RowReader(mapping)
        return sum(_reads(reader, row) for row in telling) / len(telling) if telling else 0.0

    def fitting(self, choices: tuple[str, ...], fits: Callable[[object], bool], taken: Iterable[str] = ()) -> list[str]:
        """Return the fields called as one of `choices` says of which some value is there and all values fit, the
        likeliest first."""
        return [name for name in named(self.fields, choices) if name not in taken and self._all(name, fits)]

    def first(self, column: str, taken: Iterable[str] = ()) -> dict[str, str]:
        """Return {column: the likeliest field that is called so and holds texts}, {} where there is none."""
        names = self.fitting(COLUMNS[column], _is_text, taken)
        return {column: names[0]} if names else {}

    def _all(self, name: str, fits: Callable[[object], bool]) -> bool:
        values = self._values[name]
        return bool(values) and sum(map(fits, values)) >= READS * len(values)

    def optional(self, columns: tuple[str, ...], taken: Iterable[str]) -> dict[str, str]:
        """Return for each column the field called so, where no value contradicts: one that is empty so far may say
        something later."""
        found: dict[str, str] = {}
        for column in columns:
            for name in sorted(named(self.fields, COLUMNS[column]), key=lambda name: not self._values[name]):
                fit = sum(map(_FITS[column], self._values[name])) >= READS * len(self._values[name])
                if fit and name not in taken and name not in found.values():
                    found[column] = name
                    break
        return found

    # The forms, in the order in which they are preferred

    def pairs(self) -> Iterator[Mapping]:
        """Yield the mappings by which the rows are pairs of a better and a worse answer."""
        sides = self.sides()
        for good, bad in sides:
            yield from self._compared(good, bad)
        if sides:
            return
        for bad in self.fitting(REJECTED, _is_text_or_talk):
            for good in self.fitting(COLUMNS["response"], _is_text, (bad,)):
                yield from self._compared(good, bad)
            for talk in self.fitting(COLUMNS["messages"], is_talk, (bad,)):
                more = self.optional(("system", "tools", *MEDIA), (talk, bad))
                yield Mapping("chat_preference", {"messages": talk, "rejected": bad, **more}, self.tags(talk), "swift")

    def sides(self) -> list[tuple[str, str]]:
        """Return the fields that are the better and the worse side of a pair, by their names."""
        found = (
            (good, bad)
            for better, worse in PAIRS
            for good in named(self.fields, (better,))
            for bad in named(self.fields, (worse,))
        )
        return [
            (good, bad)
            for good, bad in dict.fromkeys(found)
            if good != bad and self._all(good, _is_text_or_talk) and self._all(bad, _is_text_or_talk)
        ]

    def _compared(self, good: str, bad: str) -> Iterator[Mapping]:
        sides, taken = {"chosen": good, "rejected": bad}, (good, bad)
        prompts = self.fitting(COLUMNS["prompt"], _is_text, taken)
        conversations = self.fitting((*COLUMNS["messages"], *COLUMNS["prompt"]), is_talk, taken)
        talking = any(self._any(side, lambda value: isinstance(value, list | dict) or spoken(value)) for side in taken)
        if not talking and not conversations:
            prompt = prompts[0] if prompts else ""
            if prompt:
                known = "preference"
                first = {"prompt": prompt, **self._query(prompt, taken), **sides}
                yield Mapping(
                    "preference",
                    first | self.optional(("system", "history", "tools", *MEDIA), first.values()),
                    known=known,
                )
            return
        whole = Mapping("chat_preference", sides | self.optional(("system", "tools", *MEDIA), taken), self.tags(good))
        if self.share(whole) >= READS:
            yield _called(whole, "hh" if self._any(good, spoken) else "ultrafeedback")
            return
        for talk in [*conversations, *prompts]:
            columns = {"messages": talk, **sides}
            known = "openai_preference" if names.plain(good) == "preferred_output" else "sharegpt"
            yield Mapping(
                "chat_preference",
                columns | self.optional(("system", "tools", *MEDIA), columns.values()),
                self.tags(talk, good),
                known,
            )

    def judged(self) -> Iterator[Mapping]:
        """Yield the mappings by which the rows are answers with a thumb up or down (KTO)."""
        for label in [name for name in named(self.fields, COLUMNS["kto_tag"]) if self._is_label(name)]:
            for mapping in [*self.conversations((label,)), *self.one_turn((label,))]:
                form = "chat_kto" if mapping.form == "chat" else "kto"
                yield Mapping(
                    form,
                    {**mapping.columns, "kto_tag": label},
                    mapping.tags,
                    mapping.known if form == "chat_kto" else "kto",
                )

    def _is_label(self, name: str) -> bool:
        """Tell whether a field says whether an answer was liked; words that may name a class as well do so only by
        the name of the field."""
        plain = names.plain(name) in names.LIKED

        def fits(value: object) -> bool:
            small = value.casefold().strip() if isinstance(value, str) else value
            return (
                isinstance(small, bool | int | float | str)
                and small in names.GOOD + names.BAD
                and (plain or small not in names.AMBIGUOUS)
            )

        return self._all(name, fits)

    def conversations(self, taken: tuple[str, ...] = ()) -> Iterator[Mapping]:
        """Yield the mappings by which the rows are conversations: in one field, or a prompt and its completion as
        messages."""
        for talk in self.fitting(COLUMNS["messages"], is_talk, taken):
            columns = {"messages": talk}
            tags = self.tags(talk)
            more = self.optional(("system", "tools", *MEDIA), (*taken, talk))
            yield Mapping("chat", columns | more, tags, "openai" if tags["role_tag"] == "role" else "sharegpt")
        for prompt in self.fitting((*COLUMNS["prompt"], *COLUMNS["messages"]), _is_text_or_talk, taken):
            for answer in self.fitting(COLUMNS["response"], _is_text_or_talk, (*taken, prompt)):
                if any(self._any(name, is_talk) for name in (prompt, answer)):
                    columns = {"messages": prompt, "response": answer}
                    more = self.optional(("system", "tools", *MEDIA), (*taken, prompt, answer))
                    yield Mapping("chat", columns | more, self.tags(prompt, answer), "trl")

    def scored(self) -> Iterator[Mapping]:
        """Yield the mapping by which the rows are answers with scores."""
        for mapping in self.one_turn():
            if "query" in mapping.columns and self._values.get(mapping.columns["query"]):
                continue  # the form of scores has no place for it
            columns = {
                name: mapping.columns[name] for name in ("prompt", "response", "system") if name in mapping.columns
            }
            for score in self.fitting(COLUMNS["score"], _is_number, columns.values()):
                top = max(value for value in self._values[score] if _is_number(value))
                yield Mapping("scores", {**columns, "score": score}, known="helpsteer", min_score=round(0.75 * top, 2))
                return

    def one_turn(self, taken: tuple[str, ...] = ()) -> Iterator[Mapping]:
        """Yield the mapping by which the rows are one question and one answer."""
        prompts = self.fitting(COLUMNS["prompt"], _is_text, taken)
        responses = self.fitting(COLUMNS["response"], _is_text, taken)
        prompt = next((name for name in prompts if name != (responses[0] if responses else "")), "")
        response = next((name for name in responses if name != prompt), "")
        if not prompt or not response:
            return
        columns = {"prompt": prompt, **self._query(prompt, (*taken, response)), "response": response}
        more = self.optional(("system", "history", "tools", *MEDIA), (*taken, *columns.values()))
        yield Mapping(
            "alpaca", columns | more, known="alpaca" if (prompt, response) == ("instruction", "output") else "pairs"
        )

    def _query(self, prompt: str, taken: Iterable[str]) -> dict[str, str]:
        return {column: name for column, name in self.optional(("query",), (prompt, *taken)).items()}

    def nameless(self) -> Iterator[Mapping]:
        """Yield the mapping by which the first field that is a conversation by its shape, and whose name says
        nothing else, is one."""
        known_names = [name for column in COLUMNS.values() for name in named(self.fields, column)]
        for talk in self.fields:
            if talk not in known_names and self._all(talk, lambda value: isinstance(value, list) and is_talk(value)):
                tags = self.tags(talk)
                more = self.optional(("system", "tools", *MEDIA), (talk,))
                yield Mapping(
                    "chat", {"messages": talk, **more}, tags, "openai" if tags["role_tag"] == "role" else "sharegpt"
                )
                return

    def texts(self) -> Iterator[Mapping]:
        """Yield the mapping by which the rows are plain text; a question without an answer is none."""
        questions = named(self.fields, tuple(name for name in COLUMNS["prompt"] if name != "title"))
        telling = [name for name in self.fields if self._values[name]]
        found = self.fitting(names.TEXTS, lambda value: isinstance(value, str)) or (
            telling
            if len(telling) == 1 and not questions and self._all(telling[0], lambda value: isinstance(value, str))
            else []
        )
        if found:
            yield Mapping("text", {"prompt": found[0]}, known="text")

    # Where no form reads the rows

    def refuse_unsupported(self) -> None:
        """Raise Problem for rows of a form that the field knows and LLaMA-Factory cannot train on."""
        for first, second, key in (("completions", "labels", "stepwise"), ("segments", "", "segments")):
            there = [name for name in (first, second) if name]
            if all(name in self.fields and self._all(name, lambda value: isinstance(value, list)) for name in there):
                raise Problem(f"datasets.form_{key}", fields=", ".join(there))

    def unclear(self) -> Mapping:
        """Return the mapping that names what could be told, for the person to say the rest."""
        conversations = self.fitting((*COLUMNS["messages"], *COLUMNS["prompt"]), is_talk)
        rejected = self.fitting(REJECTED, _is_text_or_talk)
        if sides := self.sides():
            columns = self.first("prompt", sides[0])
            return Mapping("preference", columns | dict(zip(("chosen", "rejected"), sides[0], strict=True)))
        if conversations and not rejected:
            return Mapping("chat", {"messages": conversations[0]}, self.tags(conversations[0]))
        columns = self.first("prompt")
        if rejected:
            return Mapping("preference", columns | {"rejected": rejected[0]})
        columns |= self.first("response", columns.values())
        return Mapping("alpaca", columns | self.optional(("system",), columns.values()))

    def _any(self, name: str, fits: Callable[[object], bool]) -> bool:
        return any(map(fits, self._values[name]))

    def tags(self, *fields: str) -> dict[str, str]:
        """Return what the messages of some fields call role and content, and the people in them, with
        LLaMA-Factory's own names where
        nobody speaks."""
        messages = [
            message
            for field in fields
            for value in self._values[field]
            for message in _messages_of(value)
            if isinstance(message, dict)
        ]
        first = messages[0] if messages else {}
        role = next((key for key in ROLE_KEYS if isinstance(first.get(key), str)), "from")
        content = next((key for key in CONTENT_KEYS if key in first), "content" if role == "role" else "value")
        roles = [str(message.get(role)) for message in messages]

        def called(choices: tuple[str, ...], otherwise: str) -> str:
            return next((each for each in roles if each.casefold() in choices), otherwise)

        return {
            "role_tag": role,
            "content_tag": content,
            "user_tag": called(names.USERS, "human"),
            "assistant_tag": called(names.ASSISTANTS, "gpt"),
            "observation_tag": called(names.OBSERVATIONS, "observation"),
            "function_tag": called(names.CALLS, "function_call"),
            "system_tag": called(names.SYSTEMS, "system"),
        }


def _messages_of(value: object) -> list:
    if isinstance(value, str) and not is_talk(value):
        return []
    try:
        return listed(value, "")[0]
    except UnusableRow:
        return []


def _called(mapping: Mapping, known: str) -> Mapping:
    return Mapping(mapping.form, mapping.columns, mapping.tags if known != "hh" else {}, known)


def _reads(reader: RowReader, row: dict) -> bool:
    try:
        reader.read(row)
    except UnusableRow as unusable:
        return unusable.reason == "score_too_low"
    return True


def _silent(value: object) -> bool:
    """Tell whether a value says nothing of what its field is."""
    return value is None or value == "" or value == [] or value == {}


def _is_text(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_text_or_talk(value: object) -> bool:
    """Tell whether a value can be an answer, or a question: text, or messages."""
    return isinstance(value, str | int | float) or is_talk(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _readable(read: Callable[[object], object]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        try:
            read(value)
        except UnusableRow:
            return False
        return True

    return fits


def _is_media(value: object) -> bool:
    return isinstance(value, str | dict) or (
        isinstance(value, list) and all(isinstance(each, str | dict | list) for each in value)
    )


_FITS: dict[str, Callable[[object], bool]] = {
    "query": _is_text,
    "system": _readable(system_of),
    "history": _readable(history_of),
    "tools": _readable(tool_definitions.read),
    **dict.fromkeys(MEDIA, _is_media),
}
