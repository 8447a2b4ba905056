"""The one reader of recipes that people bring: whatever stands in the text, it is taken, or told with its reason."""

from studio.core import reasons
from studio.core.i18n import Problem
from studio.train.recipe import arguments
from studio.train.recipe.importing import documents, launchers, llamaboard, options, purpose, shell
from studio.train.recipe.importing.launchers import Launch
from studio.train.recipe.importing.result import Imported, LeftOut

# What the studio sets itself, or has no meaning for a new run: told, and not taken.
NOT_TAKEN = {
    "output_dir": "output",
    "overwrite_output_dir": "output",
    "logging_dir": "output",
    "resume_from_checkpoint": "resume",
    "local_rank": "rank",
    "disable_tqdm": "progress",
}
DEEPEST = 3  # `bash -c "bash -c ..."`


def read(text: str) -> Imported:
    """Return what a text stands for, whose recipe is a training with at least one setting.

    Raises:
        Problem: the text is none; it is for something else (merging, chatting, another program), with where that is
            done; its settings
            stand in a file that is not here; or a setting in it is wrong.
    """
    text = documents.plain(text)
    if not text.strip():
        raise Problem("train.import_empty")
    mappings, launches, left_out, files = _parts(text)
    found = _chosen(mappings, launches, left_out, files)
    recipe, more = _taken(found.recipe)
    found.recipe, found.left_out = recipe, [*found.left_out, *more]
    if not recipe:
        raise Problem("recipe_import.nothing")
    return found


def _parts(text: str, depth: int = 0) -> tuple[list[dict[str, object]], list[Launch], list[LeftOut], dict[str, str]]:
    """Return the mappings and the launches in a text, what is neither, and the files that its commands write."""
    if not text.lstrip().startswith(("{", "[")) and (whole := documents.settings(text)):
        return [whole], [], [], {}
    blocks, around = documents.blocks(text)
    mappings: list[dict[str, object]] = []
    launches: list[Launch] = []
    left_out = [LeftOut(_short(part), "around") for part in around]
    files: dict[str, str] = {}
    for block in blocks:
        if not block.strip():
            continue
        try:
            found = None if shell.writes_files(block) else documents.mapping(block)
        except ValueError as error:
            raise Problem("train.import_unreadable", reason=reasons.of(error)) from error
        if found is not None:
            mappings.append(found)
            continue
        script = shell.read(block)
        files |= script.files
        for command in script.commands:
            launch = launchers.of(command, script.variables)
            if launch is None and depth < DEEPEST and (inner := launchers.inline_script(command)):
                more = _parts(inner, depth + 1)
                mappings, launches, left_out, files = (
                    mappings + more[0],
                    launches + more[1],
                    left_out + more[2],
                    files | more[3],
                )
            elif launch is None:
                left_out.append(LeftOut(_short(command.shown()), "command"))
            else:
                launches.append(launch)
    return mappings, launches, left_out, files


def _chosen(
    mappings: list[dict[str, object]], launches: list[Launch], left_out: list[LeftOut], files: dict[str, str]
) -> Imported:
    """Return what is imported of all that a text holds: the first training; the rest is told."""
    first = next((launch for launch in launches if launch.kind == "training"), None)
    if first is None and not mappings and files:
        mappings = [found for body in files.values() if (found := documents.mapping(body)) is not None]
    if first is None and not mappings:
        _require_training_command(launches)
    rest = [
        LeftOut(_short(launch.shown), f"kind_{launch.kind}" if launch.kind != "training" else "second")
        for launch in launches
        if launch is not first
    ]
    if first is None:
        found = _of_mapping(mappings[0])
        rest += [LeftOut(_short(", ".join(one)), "second") for one in mappings[1:]]
    else:
        found = _of_launch(first, mappings, files)
        rest += [LeftOut(_short(", ".join(one)), "second") for one in (mappings[1:] if first.file else mappings)]
    found.left_out = [*found.left_out, *left_out, *rest]
    return found


def _require_training_command(launches: list[Launch]) -> None:
    """Raise Problem: no command of a text trains, with what the first one does."""
    if not launches:
        raise Problem("recipe_import.no_command")
    raise Problem(f"recipe_import.kind_{launches[0].kind}")


def _of_launch(launch: Launch, mappings: list[dict[str, object]], files: dict[str, str]) -> Imported:
    overrides, left_out = _overrides(launch) if launch.file else options.read(launch.words)
    found = Imported(overrides, [*launch.left_out, *left_out], {"devices": launch.devices} if launch.devices else {})
    if launch.file:
        body = next(
            (
                text
                for name, text in files.items()
                if name.replace("\\", "/").split("/")[-1] == launch.file.replace("\\", "/").split("/")[-1]
            ),
            None,
        )
        mapping = documents.mapping(documents.plain(body)) if body is not None else mappings[0] if mappings else None
        if mapping is None:
            raise Problem(
                "recipe_import.file_needed",
                file=launch.file,
                settings=", ".join(f"{name} {value}" for name, value in overrides.items()) or "–",
            )
        base = _of_mapping(mapping)
        found.recipe, found.left_out = base.recipe | overrides, [*base.left_out, *found.left_out]
    kind = purpose.of({"do_train": None, "dataset": "", **found.recipe})
    if kind not in ("training", "chat"):
        raise Problem(f"recipe_import.kind_{kind}")
    return found


def _overrides(launch: Launch) -> tuple[dict[str, object], list[LeftOut]]:
    """Return the settings behind the name of a recipe file: `--name value`, or `name=value` as LLaMA-Factory takes
    them.
    """
    dotted = [
        word
        for word in launch.words
        if not word.text.startswith("--") and "=" in word.text and word.text.split("=")[0].isidentifier()
    ]
    settings, left_out = options.read([word for word in launch.words if word not in dotted])
    for word in dotted:
        name, _, value = word.text.partition("=")
        if word.unset:
            left_out.append(LeftOut(word.text, "variable"))
        else:
            settings[name] = _value(value)
    return settings, left_out


def _value(text: str) -> object:
    """Return the value of `name=value`, which is YAML (`null`, lists in brackets)."""
    found = documents.mapping(f"value: {text}") or {}
    return found.get("value")


def _of_mapping(found: dict[str, object]) -> Imported:
    if llamaboard.is_board(found):
        recipe, left_out = llamaboard.read(found)
        return Imported(recipe, left_out)
    kind = purpose.of_file(found) or purpose.of(found)
    if kind != "training":
        raise Problem(f"recipe_import.kind_{kind}")
    return Imported(dict(found))


def _taken(recipe: dict[str, object]) -> tuple[dict[str, object], list[LeftOut]]:
    """Return the settings of a recipe that a run takes, judged, and those that the studio sets itself.

    Raises:
        Problem: as `arguments.judged` does; a key or password is refused by name.
    """
    left_out = [
        LeftOut(f"{name}: {value}", NOT_TAKEN[name])
        for name, value in recipe.items()
        if name in NOT_TAKEN and value not in (None, "", False)
    ]
    settings = {
        name: value
        for name, value in recipe.items()
        if name not in NOT_TAKEN and name != "do_train" and value is not None and value != ""
    }
    return arguments.judged(settings), left_out


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:160]}…"
