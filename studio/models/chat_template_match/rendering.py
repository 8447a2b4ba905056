"""Models' own chat templates, rendered as transformers does. Runs in the child process of `core.limited`, and there
alone.
"""

LONGEST = 200_000  # characters of a prompt; what is asked are a few short sentences


def render(source: str, conversations: list[list[dict]], tokens: dict[str, str]) -> list[dict]:
    """Return for each conversation {"text": the prompt before the answer}, or {"refused": the template's or Jinja's own
    words}.
    """
    return [_rendered(source, messages, tokens) for messages in conversations]


def _rendered(source: str, messages: list[dict], tokens: dict[str, str]) -> dict:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        texts, _ = render_jinja_template([messages], chat_template=source, add_generation_prompt=True, **tokens)
    except MemoryError:
        raise
    except (
        TemplateError,
        TypeError,
        KeyError,
        ValueError,
        ArithmeticError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        return {"refused": " ".join(str(error).split())[:500] or type(error).__name__}
    if len(texts[0]) > LONGEST:
        return {"refused": f"{len(texts[0]):,} characters of {len(messages)} messages"}
    return {"text": texts[0]}
