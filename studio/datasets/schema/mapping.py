"""Which form the rows of a file have, and which of their fields says what."""

from dataclasses import dataclass, field

_MEDIA = ("images", "videos", "audios")
_TALK = ("system", "tools", *_MEDIA)
_ONE_TURN = ("system", "history", "tools", *_MEDIA)
# The columns of each form, by LLaMA-Factory's names; those marked * must be given. `score` is the studio's own. A
# conversation may have its
# answer in a field of its own (`response`); of a pair of conversations the chosen side may be the conversation itself.
FORMS = {
    "alpaca": ("prompt*", "query", "response*", *_ONE_TURN),
    "chat": ("messages*", "response", *_TALK),
    "preference": ("prompt*", "query", "chosen*", "rejected*", *_ONE_TURN),
    "chat_preference": ("messages", "chosen", "rejected*", *_TALK),
    "kto": ("prompt*", "query", "response*", "kto_tag*", *_ONE_TURN),
    "chat_kto": ("messages*", "response", "kto_tag*", *_TALK),
    "text": ("prompt*",),
    "scores": ("prompt*", "response*", "score*", "system"),
    "scored_pairs": ("prompt*", "response*", "score*", "system"),
}
STAGES = {
    "text": "pt",
    "preference": "dpo",
    "chat_preference": "dpo",
    "scored_pairs": "dpo",
    "kto": "kto",
    "chat_kto": "kto",
}


@dataclass(frozen=True)
class Mapping:
    """How to read incoming rows. `columns` are {LLaMA-Factory's column: field of the row}; `tags` name the role and
    content of a message.

    `known` is the name under which people know this form ("openai", "pairs", "helpsteer" ...), only to be shown.
    `min_score` is the least
    score of rows that are kept, of the form "scores" alone.
    """

    form: str
    columns: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    known: str = ""
    min_score: float | None = None

    @property
    def stage(self) -> str:
        """The stage that the rows are for: pt, sft, dpo or kto."""
        return STAGES.get(self.form, "sft")

    def missing(self) -> list[str]:
        """Return the columns that must be given and are not."""
        lacks = [
            column[:-1] for column in FORMS[self.form] if column.endswith("*") and not self.columns.get(column[:-1])
        ]
        if self.form == "chat_preference" and not self.columns.get("messages") and not self.columns.get("chosen"):
            lacks.insert(0, "chosen")
        return lacks
