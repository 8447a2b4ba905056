"""What goes into an endpoint and comes out of it, as models: a wrong value is refused by name, and the reference of the
API (docs/API.md) is made from them.

```
class SplitOptions(Options):
    share: float = Field(gt=0, lt=1, description="of the rows, that go into the second set")

class SplitResult(Result):
    names: list[str]

def datasets_split(name: str, options: SplitOptions) -> SplitResult: ...
```
"""

import operator
import types
import typing
from collections.abc import Callable
from functools import lru_cache, reduce

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_serializer, model_validator

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.plain import DEEPEST, as_json, shown


class Options(BaseModel):
    """An object that an endpoint is given. A field that it does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Result(BaseModel):
    """An object that an endpoint answers with.

    What is no character in its texts, as in names of files that are not UTF-8, is shown as �: pydantic refuses it.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _all_shown(cls, values: object) -> object:
        # Half a character is no JSON, and a zero is seen in it: ten times as fast as the way through all of it.
        if (text := as_json(values)) and b"\\u0000" not in text:
            return values
        return _shown(values)


class SparseResult(Result):
    """An object of which the fields that were not set are left out, as a message of a chat leaves out its images."""

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, serialize: Callable[[BaseModel], dict[str, object]]) -> dict[str, object]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}


def _shown(value: object, depth: int = DEEPEST) -> object:
    """Return texts, also those in lists and objects, as they can be shown; anything else as it is."""
    if isinstance(value, str):
        return shown(value)
    if depth and isinstance(value, list | tuple):
        return [_shown(one, depth - 1) for one in value]
    if depth and isinstance(value, dict):
        return {_shown(key): _shown(one, depth - 1) for key, one in value.items()}
    return value


def kinds_of(hint: object) -> tuple[object, ...]:
    """Return what an annotation allows: the members of a union, else itself alone."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def model_of(hint: object) -> type[BaseModel] | None:
    """Return the model that an annotation stands for (`X`, `X | None`), None where it is none."""
    return next((kind for kind in kinds_of(hint) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def container_of(kind: object) -> type | None:
    """Return dict or list where a kind says what is inside one: a model, `dict[str, float]`, a list of models; None for
    what is checked without pydantic.
    """
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if model_of(kind) or (origin is dict and inside[1] is not object):
        return dict
    return list if origin is list and (typing.get_origin(inside[0]) or model_of(inside[0])) else None


def taken(kind: object, value: object, argument: str) -> object:
    """Return what was given for an argument as its kind: a model, a list of models, an object of texts or numbers.

    Raises:
        Problem: a field is missing, wrong or not known; the sentence names the argument and the field.
    """
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    if not isinstance(value, container := container_of(kind) or dict):
        raise Problem(f"app.argument_{container.__name__}", argument=argument)
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, reason = reasons.field(error)
        if first["type"] == "extra_forbidden":
            raise Problem(
                "app.field_unknown", argument=argument, field=field, known=", ".join(_known(kind, first["loc"]))
            ) from None
        if first["type"] == "missing":
            raise Problem("app.field_missing", argument=argument, field=field) from None
        raise Problem("app.field_wrong", argument=argument, field=field, reason=reason) from None


@lru_cache(maxsize=256)
def _adapter(kind: object) -> TypeAdapter:
    """Return what validates values of a kind; a number will do for a text, as in arguments that are no objects."""
    return TypeAdapter(kind, config=None if model_of(kind) else ConfigDict(coerce_numbers_to_str=True))


def _known(kind: object, place: tuple[str | int, ...]) -> list[str]:
    """Return the names of the fields that the object at `place`, the way to a field inside it, may have."""
    model = model_of(kind)
    if len(place) == 1 and model:
        return [one.alias or name for name, one in model.model_fields.items()]
    if model:
        inner = next(one.annotation for name, one in model.model_fields.items() if place[0] in (name, one.alias))
    else:
        inner = next(typing.get_args(one)[-1] for one in kinds_of(kind) if typing.get_args(one))
    return _known(inner, place[1:])


def dumped(value: object) -> object:
    """Return a result with each model in it as a plain object. Lists and objects of models are gone through."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, list | tuple):
        return [dumped(one) for one in value]
    if isinstance(value, dict) and any(isinstance(one, BaseModel | list | tuple | dict) for one in value.values()):
        return {key: dumped(one) for key, one in value.items()}
    return value


def plain_hint(hint: object) -> object:
    """Return an annotation for gradio, which knows no models: dict for a model, list for a list of them."""
    if model_of(hint):
        return dict
    plain = [container_of(kind) or (dict if typing.get_origin(kind) is dict else kind) for kind in kinds_of(hint)]
    return reduce(operator.or_, plain)
