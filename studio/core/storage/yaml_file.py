"""The one reader of YAML. A recipe may be pasted, or come with a run from elsewhere: four hundred bytes of aliases can
stand for terabytes.

What is read is JSON: text, numbers, true, false and null in lists and mappings. A date stays text, as LLaMA-Factory
reads it too.
"""

from pathlib import Path

import yaml

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.plain import shown
from studio.core.storage import files

LARGEST_BYTES = 256 * 2**10  # a recipe has a few kilobytes; this much takes about two seconds
DEEPEST = 50
MOST = 2 * 2**20  # characters, with every alias written out
LONGEST_NUMBER = 100  # digits; Python takes a time that grows with their square


class _Loader(yaml.SafeLoader):
    """Counts what is composed, an alias as all that it stands for, and refuses too much before anything is made."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str):
        super().__init__(text)
        self._depth, self._written = 0, 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent, index):
        """Return the next node as PyYAML has it. Raises ValueError where nodes are nested too deep, an anchor holds
        itself, or anchors unfold to more than MOST characters.
        """
        alias = self.check_event(yaml.AliasEvent)
        before, self._depth = self._written, self._depth + 1
        if self._depth > DEEPEST:
            raise ValueError(Reason("reasons.nested"))
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:
            raise ValueError(Reason("reasons.yaml_circle"))
        self._written += (
            self._sizes[id(node)] if alias else 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        )
        if self._written > MOST:
            raise ValueError(Reason("reasons.yaml_too_much"))
        if not alias:
            self._sizes[id(node)] = self._written - before
        return node

    def resolve(self, kind, value, implicit):
        if kind is yaml.ScalarNode and implicit[0] and len(value) > LONGEST_NUMBER:
            return self.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)

    def construct_object(self, node, deep=False):
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > LONGEST_NUMBER:
            raise ValueError(Reason("reasons.yaml_long_number"))
        return super().construct_object(node, deep)


def parse(text: str) -> object:
    """Return the value of a text in YAML. Raises ValueError, with one line of why, for what is none or stands for too
    much.
    """
    if len(text) > LARGEST_BYTES:
        raise ValueError(Reason("reasons.larger_than", size=f"{LARGEST_BYTES // 2**10} KiB"))
    try:
        value = _Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(reasons.of(error)) from error
    except RecursionError as error:
        raise ValueError(Reason("reasons.nested")) from error
    except (
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:  # what PyYAML makes of a tag that its value does not fit
        raise ValueError(Reason("reasons.yaml_tag_value")) from error
    _require_json(value)
    return value


def read(path: Path) -> object:
    """Return the value of a file in YAML. Raises Problem with the file, why it cannot be used, and what to do."""
    try:
        with files.open_file(path) as file:
            text = file.read(LARGEST_BYTES + 1)
        return parse(text.decode("utf-8-sig"))
    except OSError as error:
        raise files.unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise Problem("records.no_yaml", file=path.name, reason=reasons.of(error)) from error
    except ValueError as error:
        raise Problem("records.no_yaml", file=path.name, reason=reasons.of(error)) from error


def _require_json(value: object) -> None:
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not isinstance(value, dict | list | str | int | float | None):
        raise ValueError(Reason("reasons.yaml_kind", kind=type(value).__name__))
    if isinstance(value, str) and shown(value) != value:
        raise ValueError(Reason("reasons.characters"))
    for one in inner:
        _require_json(one)
