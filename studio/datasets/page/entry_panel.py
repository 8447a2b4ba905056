"""What the page draws of a dataset's entry: its text in dataset_info.json to be changed, its name, and its removal."""

import json

from markupsafe import escape

from studio.core.i18n import Words
from studio.datasets.registry.collection import Collection
from studio.models.panel import button


def draw_entry(words: Words, collection: Collection, name: str) -> str:
    """Return the forms that edit, rename and remove an entry."""
    if not name:
        return ""
    home, short = collection.home_of(name)
    dataset = collection.find(name)
    text = json.dumps(dataset.entry, ensure_ascii=False, indent=2)
    key = f'<input type="hidden" name="name" value="{escape(name)}">'
    told = '<p class="problem" role="alert" hidden></p>'
    edit = (
        '<form class="drawn-form card" data-submit="datasets_edit_entry" data-then="dataset:{name}"'
        f' data-done="{words("datasets.saved")}">{key}<p class="hint">{words("datasets.entry_hint")}'
        f' <code>{escape(str(home / "dataset_info.json"))}</code></p><label><textarea name="entry" class="code"'
        f' spellcheck="false" rows="{text.count(chr(10)) + 3}">{escape(text)}</textarea></label>{told}<div'
        f' class="actions"><button class="button primary" type="submit">{words("datasets.save")}</button></div></form>'
    )
    rename = (
        '<form class="drawn-form send card" data-submit="datasets_rename" data-then="dataset:{name}"'
        f' data-done="{words("datasets.saved")}">{key}<label><span>{words("datasets.name")}</span><input name="new"'
        f' value="{escape(short)}" required spellcheck="false"></label><button class="button"'
        f' type="submit">{words("datasets.rename")}</button>{told}</form>'
    )
    remove = button(
        words("datasets.remove"), "datasets_remove", [name, False], "danger", words("datasets.remove_sure", name=short)
    )
    if dataset.file:
        remove += button(
            words("datasets.remove_file"),
            "datasets_remove",
            [name, True],
            "danger",
            words("datasets.remove_file_sure", file=dataset.file),
        )
    return f'{edit}{rename}<div class="actions">{remove}</div><p class="hint">{words("datasets.remove_hint")}</p>'
