"""What the page has in hand of data to be brought in: {path, name, hub, form, min_score, c.<column>, t.<tag> ...}."""

from urllib.parse import parse_qsl

from studio.core.i18n import Problem

NO_FIELD = "-"  # chosen for a column that no field stands for
_TEXT_OPTIONS = ("form", "subset", "split", "folder", "hub")
_NUMBER_OPTIONS = (("min_score", float), ("num_samples", int))


def parse(address: str) -> dict[str, str]:
    """Return the choices that an address says."""
    return dict(parse_qsl(address))


def as_texts(choices: dict[str, str | float | bool | None]) -> dict[str, str]:
    """Return choices that a script gave as the texts that a form has; what is null or false is not chosen."""
    return {name: str(value) for name, value in choices.items() if value is not None and value is not False}


def columns_of(choices: dict[str, str]) -> dict[str, str]:
    """Return the field that was chosen for each column, by LLaMA-Factory's names of these; "" for none."""
    return {name: "" if field == NO_FIELD else field for name, field in _with_prefix(choices, "c.").items()}


def tags_of(choices: dict[str, str]) -> dict[str, str]:
    """Return the tags of messages, by LLaMA-Factory's names."""
    return _with_prefix(choices, "t.")


def options_of(choices: dict[str, str]) -> dict:
    """Return the options of bringing in: form, hub, subset, split, folder, min_score, num_samples, copy.

    Raises:
        Problem: what must be a number is none.
    """
    options: dict = {name: choices[name] for name in _TEXT_OPTIONS if choices.get(name)}
    for name, kind in _NUMBER_OPTIONS:
        if choices.get(name):
            try:
                options[name] = kind(choices[name])
            except ValueError as error:
                raise Problem("datasets.no_number", field=name, value=choices[name]) from error
    return options | ({"copy": True} if choices.get("copy") else {})


def _with_prefix(choices: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in choices.items() if name.startswith(prefix)}
