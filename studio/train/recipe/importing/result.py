"""What an import comes to: the recipe, and every part of the text that is not in it, with its reason."""

from dataclasses import dataclass, field

from studio.core.i18n import Words
from studio.train.recipe.importing import llamafactory_defaults

# Names of what must not be shown again, wherever it stood.
PRIVATE = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "WEBHOOK")


@dataclass(frozen=True)
class LeftOut:
    """A part of a text that is not in the recipe: the text, and the reason as a key of the words
    (`recipe_import.why_<reason>`).
    """

    text: str
    reason: str

    def tell(self, words: Words) -> dict[str, object]:
        """Return {text, why} in a language."""
        return {"text": self.text, "why": words(f"recipe_import.why_{self.reason}")}


@dataclass(frozen=True)
class Missing:
    """A setting whose value this studio does not have. `advice` is "download", "add", "choose", "dataset", "run" or
    "file".
    """

    field: str
    value: str
    advice: str

    def tell(self, words: Words) -> dict[str, object]:
        """Return {field, value, advice, do} in a language; `do` is the sentence."""
        sentence = words(f"recipe_import.missing_{self.advice}", field=self.field, value=self.value)
        return {"field": self.field, "value": self.value, "advice": self.advice, "do": sentence}


@dataclass
class Imported:
    """A recipe that a text stands for; `options` are those of the start (`devices`), `left_out` what did not come
    along.
    """

    recipe: dict[str, object]
    left_out: list[LeftOut] = field(default_factory=list)
    options: dict[str, object] = field(default_factory=dict)
    kind: str = "training"

    @property
    def whole(self) -> dict[str, object]:
        """The recipe with the sign of LLaMA-Factory's own, as the form, the preview and a start take it (see
        `llamafactory_defaults`).
        """
        return {llamafactory_defaults.SIGN: True, **self.recipe}


def hidden(name: str, value: str) -> str:
    """Return `NAME=value`, without the value where the name says that it is a key or a password."""
    return f"{name}=…" if any(part in name.upper() for part in PRIVATE) else f"{name}={value}"
