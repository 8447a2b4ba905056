"""Settings of a command line, by LLaMA-Factory's own parser: which word names a setting, and which words are its
value.
"""

import argparse
import re
from functools import cache

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.train.recipe import arguments
from studio.train.recipe.importing.result import LeftOut
from studio.train.recipe.importing.shell import Word


def read(words: list[Word]) -> tuple[dict[str, object], list[LeftOut]]:
    """Return the settings that the words behind the program's name give, and the words that no setting takes.

    Raises:
        Problem: a name that is no setting or begins several, or a setting without its value.
    """
    texts, left_out = _with_values(words)
    try:
        namespace, rest = _parser().parse_known_args(texts)
    except argparse.ArgumentError as error:
        raise _fault(error) from error
    unknown = [word for word in rest if re.match(r"--?[A-Za-z]", word)]
    if unknown:
        raise Problem(
            "train.unknown_setting",
            field=", ".join(word.lstrip("-").partition("=")[0].replace("-", "_") for word in unknown),
        )
    return dict(vars(namespace)), [*left_out, *(LeftOut(word, "stray") for word in rest)]


def _with_values(words: list[Word]) -> tuple[list[str], list[LeftOut]]:
    """Return the words that the parser gets: lists that stand in several words are joined, values of unset variables
    are left out.
    """
    found: list[str] = []
    left_out: list[LeftOut] = []
    place = 0
    while place < len(words):
        word, place = words[place], place + 1
        if word.text in ("-h", "--help", "--"):
            left_out.append(LeftOut(word.text, "stray"))
            continue
        values = []
        if word.text.startswith("--") and "=" not in word.text:
            while place < len(words) and not re.match(r"--?[A-Za-z]", words[place].text):
                values.append(words[place])
                place += 1
        unset = [name for one in (word, *values) for name in one.unset]
        if unset:
            left_out.append(LeftOut(" ".join(one.text for one in (word, *values)), "variable"))
            continue
        texts = [one.text for one in values]
        if len(texts) > 1 and word.text[2:].replace("-", "_") in arguments.LISTS:
            texts = [",".join(text.strip(",") for text in texts)]
        found += [word.text, *texts]
    return found, left_out


@cache
def _parser() -> argparse.ArgumentParser:
    """Return LLaMA-Factory's parser as one that gives back only what was said, as text; kinds of values are judged by
    `arguments`.
    """
    llamafactory.load()
    from llamafactory.hparams import parser
    from transformers import HfArgumentParser

    class Quiet(HfArgumentParser):
        def error(self, message):
            raise argparse.ArgumentError(None, message)

    found = Quiet(parser._TRAIN_ARGS, add_help=False, exit_on_error=False)
    for action in found._actions:
        action.default, action.choices, action.type = argparse.SUPPRESS, None, None
    return found


def _fault(error: argparse.ArgumentError) -> Problem:
    name = (error.argument_name or "").split("/")[0].strip().lstrip("-")
    if "expected" in error.message and name:
        return Problem("recipe_import.no_value", field=name)
    if "ambiguous" in error.message:
        return Problem(
            "recipe_import.ambiguous",
            option=error.message.split("could match")[0].replace("ambiguous option:", "").strip(),
            settings=error.message.split("could match")[-1].strip(),
        )
    return Problem("recipe_import.bad_option", field=name or error.message[:80], reason=reasons.original(error.message))
