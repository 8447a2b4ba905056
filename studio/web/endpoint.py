"""An endpoint as scripts and the page reach it: what comes in is checked, and what goes wrong is one sentence."""

import errno
import inspect
import logging
import math
import types
import typing
from collections.abc import Callable
from functools import wraps

from pydantic import BaseModel

from studio.core.i18n import Problem, Words
from studio.core.plain import odd, sendable
from studio.web import results, schema

LARGEST = 2**53  # of whole numbers: beyond it JavaScript, and so the page, counts no more
KINDS = {
    str: "app.argument_str",
    int: "app.argument_int",
    float: "app.argument_float",
    dict: "app.argument_dict",
    list: "app.argument_list",
}


def checked_endpoint(function: Callable, words: Words) -> Callable:
    """Return `function` with its arguments looked at, its result such that it can be sent, and every fault told in one
    sentence.
    """
    signature, hints = inspect.signature(function), typing.get_type_hints(function)

    @wraps(function)
    def wrapped(*args, **kwargs):
        """Return what the endpoint answers, such that it can be sent. Raises gr.Error with the sentence of a fault."""
        try:
            arguments = signature.bind_partial(*args, **kwargs).arguments
            fitting = {
                name: argument(one, results.given(arguments.get(name)), hints.get(name, object))
                for name, one in signature.parameters.items()
            }
            return sendable(results.shown(schema.dumped(function(**fitting))))
        except Problem as problem:
            raise _refused(words.tell(problem)) from None
        except OSError as fault:
            if fault.errno == errno.ENAMETOOLONG:
                raise _refused(words("app.argument_long")) from None
            raise _refused(_fault(words, function, fault)) from None
        except Exception as fault:  # one of ours: the person reads one sentence, and the terminal has all of it
            raise _refused(_fault(words, function, fault)) from None

    # gradio makes its own description of the parameters from these, and knows no models.
    wrapped.__annotations__ = {name: schema.plain_hint(hint) for name, hint in hints.items()}
    wrapped.__signature__ = signature.replace(
        parameters=[
            one.replace(annotation=schema.plain_hint(hints.get(name, one.annotation)))
            for name, one in signature.parameters.items()
        ]
    )
    return wrapped


def _refused(sentence: str) -> Exception:
    """Return what gradio answers a call with that comes to nothing."""
    # Here, for it takes a second: who asks what an endpoint answers needs no page.
    import gradio

    return gradio.Error(sentence, print_exception=False)


def _fault(words: Words, function: Callable, fault: Exception) -> str:
    logging.getLogger(__name__).error("endpoint %s", function.__name__, exc_info=fault)
    return words("app.endpoint_failed", endpoint=function.__name__, kind=type(fault).__name__)


def argument(parameter: inspect.Parameter, value: object, hint: object) -> object:
    """Return what was given for a parameter as its annotation has it; None stands for its default.

    Raises:
        Problem: it is missing, of another kind, or holds what nothing in the studio can work with.
    """
    kinds = schema.kinds_of(hint)
    plain = tuple(typing.get_origin(kind) or kind for kind in kinds)
    if fault := odd(value):
        raise Problem(f"app.argument_{fault}", argument=parameter.name)
    if value == "" and not {str, bool, object} & set(plain):
        value = None  # an empty field of a form
    if value is None:
        if {types.NoneType, object} & set(plain):
            return None
        if parameter.default is inspect.Parameter.empty:
            raise Problem("app.argument_missing", argument=parameter.name)
        return parameter.default
    if (model := schema.model_of(hint)) and not isinstance(value, dict | model):
        raise Problem("app.argument_dict", argument=parameter.name)
    for kind in kinds:
        container = schema.container_of(kind)
        if container and isinstance(value, (container, BaseModel)):
            return schema.taken(kind, value, parameter.name)
        try:
            return _fitting(kind, value)
        except (ValueError, OverflowError):
            continue
    raise Problem(KINDS.get(plain[0], "app.argument_kind"), argument=parameter.name)


def _fitting(kind: object, value: object) -> object:
    """Return `value` as a `kind`, a list with each of its members as what the kind says. Raises ValueError."""
    if typing.get_origin(kind) is list and isinstance(value, list):
        return [_as(typing.get_args(kind)[0], one) for one in value]
    return _as(typing.get_origin(kind) or kind, value)


def _as(kind: type, value: object) -> object:
    """Return `value` as a `kind`. Raises ValueError where it is none."""
    scalar = isinstance(value, int | float | str)
    if kind is str and scalar and not isinstance(value, bool):
        return str(value)
    if kind is bool and scalar:
        return bool(value)
    if kind in (int, float) and scalar and not isinstance(value, bool):
        return _number(kind, value)
    if kind is not object and not isinstance(value, kind):
        raise ValueError(value)
    return value


def _number(kind: type, value: int | float | str) -> int | float:
    if isinstance(value, str) and len(value) > 40:
        raise ValueError("no number is that long")
    number = float(value)
    if not math.isfinite(number) or (kind is int and (number != int(number) or abs(number) > LARGEST)):
        raise ValueError(value)
    return int(number) if kind is int else number
