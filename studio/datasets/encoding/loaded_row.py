"""A row as LLaMA-Factory gets it: its file is read into one table, where a key that any row has is there, and null, in
all others.
"""

from studio.datasets.schema.observed_schema import Shape


def structure_of(shape: Shape) -> dict:
    """Return the structure that rows of this shape have at the least: nested keys, to be widened by `widened`."""
    structure = dict.fromkeys(shape.columns.values())
    if shape.format != "alpaca" and "messages" in shape.columns:
        keys = dict.fromkeys(shape.tags[tag] for tag in ("role_tag", "content_tag") if tag in shape.tags)
        structure[shape.columns["messages"]] = [keys]
    return structure


def widened(structure: object, value: object) -> object:
    """Return a structure with the keys of `value` added, in the order in which they first appear.

    An object is a dict of structures, a list holds the one structure of all its members, anything else is None.
    """
    if isinstance(value, dict):
        structure = structure if isinstance(structure, dict) else {}
        if value.keys() <= structure.keys() and not any(isinstance(part, dict | list) for part in value.values()):
            return structure
        return structure | {key: widened(structure.get(key), part) for key, part in value.items()}
    if isinstance(value, list):
        inner = structure[0] if isinstance(structure, list) else None
        for part in value:
            inner = widened(inner, part)
        return [inner]
    return structure


def filled(structure: object, value: object) -> object:
    """Return a value with every key of the structure, null where it had none, and the keys in the structure's order."""
    if isinstance(value, dict) and isinstance(structure, dict):
        if not any(structure.values()) and list(value) == list(structure):
            return value
        return {key: filled(structure.get(key), value.get(key)) for key in structure | value}
    if isinstance(value, list) and isinstance(structure, list):
        return [filled(structure[0], part) for part in value]
    return value
