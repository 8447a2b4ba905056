"""Where the prompts of a list come from: what a person typed, or the rows of a dataset."""

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.observed_schema import Shape


def typed(text: str) -> list[dict]:
    """Return the prompts that a person typed: one a line, or a JSON list of texts or of {"prompt", "system"}.

    Raises:
        Problem: the text looks like a JSON list and is none, or an item of it is no prompt.
    """
    if not text.lstrip().startswith("["):
        return [{"prompt": line.strip(), "system": ""} for line in text.splitlines() if line.strip()]
    try:
        listed = records.parse(text)
    except ValueError as error:
        raise Problem("sheet.not_json", line=getattr(error, "lineno", 1), reason=reasons.kind(error)) from error
    prompts = []
    for number, item in enumerate(listed, 1):
        one = {"prompt": item} if isinstance(item, str) else item if isinstance(item, dict) else {}
        prompt, system = one.get("prompt"), one.get("system") or ""
        if not isinstance(prompt, str) or not prompt.strip() or not isinstance(system, str):
            raise Problem("sheet.bad_item", number=number)
        prompts.append({"prompt": prompt, "system": system})
    return prompts


def of_dataset(collection: Collection, name: str, first: int) -> list[dict]:
    """Return as prompts the first user message and the system prompt of the first rows of a registered dataset; rows
    without are left out.

    Raises:
        Problem: there is no such dataset on this disk, or it cannot be read.
    """
    shape = Shape.of(collection.find(name).entry)
    prompts: list[dict] = []
    for offset in range(0, first, 1000):
        rows = collection.preview(name, offset, min(1000, first - offset)).rows
        prompts += [prompt for row in rows if row is not None and (prompt := _first(row, shape))["prompt"].strip()]
        if not rows:
            break
    return prompts


def _first(row: dict, shape: Shape) -> dict:
    def text(column: str) -> str:
        value = shape.value(row, column)
        return value if isinstance(value, str) else ""

    if shape.format == "alpaca":
        return {"prompt": "\n".join(part for part in (text("prompt"), text("query")) if part), "system": text("system")}
    role, content = shape.tags.get("role_tag", "from"), shape.tags.get("content_tag", "value")
    value = shape.value(row, "messages")
    messages = [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []

    def first(tag: str) -> str:
        return next(
            (str(message.get(content) or "") for message in messages if message.get(role) == shape.tags.get(tag)), ""
        )

    return {"prompt": first("user_tag"), "system": text("system") or first("system_tag")}
