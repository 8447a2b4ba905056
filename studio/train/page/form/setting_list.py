"""The many settings: a searchable list made from LLaMA-Factory's own arguments."""

from dataclasses import dataclass
from itertools import groupby

from studio.core.formatting import NONE
from studio.train.recipe import arguments
from studio.train.recipe.arguments import Argument

TEMPLATE = "train/page/form/setting_list.html"


@dataclass(frozen=True)
class Setting:
    """A setting; `value` is what the person has set, "" where it is as it was; `choices` is () where it is typed in."""

    name: str
    help: str
    default: str
    placeholder: str
    value: str
    is_changed: bool
    is_number: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """The settings of one topic, and how many of them the person has changed."""

    name: str
    settings: tuple[Setting, ...]
    changed: int


@dataclass(frozen=True)
class SettingList:
    """The settings that fit; `is_known` is false until LLaMA-Factory is loaded."""

    query: str
    is_known: bool
    topics: tuple[Topic, ...]


def setting_list(query: str, stage: str, method: str, changed: dict[str, object]) -> SettingList:
    """Return the settings that fit the stage and method, or the search, by topic; `changed` is {setting: value} of what
    the person has set.
    """
    if not arguments.are_known():
        return SettingList(query, False, ())
    topics = groupby(arguments.search(query, stage, method), key=lambda argument: argument.topic)
    return SettingList(query, True, tuple(_topic(name, list(members), changed) for name, members in topics))


def _topic(name: str, members: list[Argument], changed: dict[str, object]) -> Topic:
    settings = tuple(_setting(argument, changed) for argument in members)
    return Topic(name, settings, sum(one.is_changed for one in settings))


def _setting(argument: Argument, changed: dict[str, object]) -> Setting:
    value = changed.get(argument.name)
    choices = ("true", "false") if argument.kind == "bool" else argument.choices if argument.kind == "choice" else ()
    return Setting(
        name=argument.name,
        help=argument.help,
        default=NONE if argument.default in (None, "", []) else _text(argument.default),
        placeholder=str(argument.default or ""),
        value="" if value is None else str(value).lower() if argument.kind == "bool" else str(value),
        is_changed=argument.name in changed,
        is_number=argument.kind in ("int", "float"),
        choices=tuple(choices),
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
