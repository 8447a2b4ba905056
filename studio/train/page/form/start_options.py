"""What the form says of a run beside its recipe."""

import re

from studio.core.i18n import Problem

_BETWEEN = re.compile(r"[\s,;，；、]+")


def start_options(name: str, author: str, probes: str, devices: str) -> dict[str, object]:
    """Return the options of a start, whichever of the form's buttons makes it.

    Args:
        name: of the assistant, where the data asks for one; so is `author`.
        probes: questions, a line each.
        devices: numbers of GPUs, with blanks, commas or semicolons between them, also those of a Chinese keyboard.

    Raises:
        Problem: `devices` is something else, with that field.
    """
    numbers = [one for one in _BETWEEN.split(devices) if one]
    if not all(one.isdecimal() for one in numbers):
        raise Problem("executors.bad_devices", devices=devices.strip(), field="devices")
    questions = [line.strip() for line in probes.splitlines() if line.strip()]
    return {"name": name, "author": author, "probes": questions, "devices": [int(one) for one in numbers]}
