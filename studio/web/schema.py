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

import types
import typing

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.plain import DEEPEST, shown


class Options(BaseModel):
    """An object that an endpoint is given. A field that it does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """An object that an endpoint answers with.

    What is no character in its texts, as in names of files that are not UTF-8, is shown as �: pydantic refuses it.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _all_shown(cls, values: object) -> object:
        return _shown(values)


def _shown(value: object, depth: int = DEEPEST) -> object:
    """Return texts, also those in lists and objects, as they can be shown; anything else as it is."""
    if isinstance(value, str):
        return shown(value)
    if depth and isinstance(value, list | tuple):
        return [_shown(one, depth - 1) for one in value]
    if depth and isinstance(value, dict):
        return {_shown(key): _shown(one, depth - 1) for key, one in value.items()}
    return value


def model_of(hint: object) -> type[BaseModel] | None:
    """Return the model that an annotation stands for (`X`, `X | None`), None where it is none."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def taken(model: type[BaseModel], value: object, argument: str) -> BaseModel:
    """Return what was given for an argument as its model.

    Raises:
        Problem: a field is missing, wrong or not known; the sentence names the argument and the field.
    """
    if isinstance(value, model):
        return value
    if not isinstance(value, dict):
        raise Problem("app.argument_dict", argument=argument)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, reason = reasons.field(error)
        if first["type"] == "extra_forbidden":
            raise Problem(
                "app.field_unknown",
                argument=argument,
                field=field,
                known=", ".join(one.alias or name for name, one in model.model_fields.items()),
            ) from None
        if first["type"] == "missing":
            raise Problem("app.field_missing", argument=argument, field=field) from None
        raise Problem("app.field_wrong", argument=argument, field=field, reason=reason) from None


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
    if typing.get_origin(hint) is list and any(model_of(one) for one in typing.get_args(hint)):
        return list
    return hint
