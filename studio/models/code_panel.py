"""What the page shows of a model's own code: the files to read, and the consent to run exactly these."""

from pathlib import Path

from markupsafe import escape

from studio.core import trust
from studio.core.i18n import Words
from studio.models.library import Model
from studio.web.live import attribute

SHOWN_FILES, SHOWN_BYTES = 50, 200_000


def draw_code(words: Words, model: Model) -> str:
    """Return the files that would run, each to be unfolded and read, with the button that allows or forbids them; ""
    where there are none.
    """
    if not model.own_code:
        return ""
    code = trust.code_of(model.path)
    if code.fault:
        return f'<p class="problem warned">{escape(words.tell(code.fault))}</p>{_files(words, model.path, code)}'
    if not code.files:
        return f'<p class="hint">{words("models.untrusted")}</p>'
    if trust.is_granted(model.path):
        forbid = _button(words("models.untrust"), [model.name, False, code.digest])
        return f'<p class="hint">{words("models.trusted")} {forbid}</p>{_files(words, model.path, code)}'
    sure = words("models.trust_sure", name=model.name, digest=code.digest[:12])
    allow = _button(words("models.trust"), [model.name, True, code.digest], sure)
    return f'<p class="hint">{words("models.untrusted")} {allow}</p>{_files(words, model.path, code)}'


def _button(label: str, args: list, ask: str = "") -> str:
    question = f' data-ask="{escape(ask)}"' if ask else ""
    return (
        '<button class="button small" data-call="models_trust"'
        f" data-args='{attribute(args)}'{question}>{escape(label)}</button>"
    )


def _files(words: Words, folder: Path, code: trust.Code) -> str:
    rows = "".join(
        f'<details id="code-{number}"><summary><code>{escape(name)}</code> <span'
        f' class="num">{escape(digest[:12])}</span></summary>'
        f"<pre>{escape(text_of(folder / name, words))}</pre></details>"
        for number, (name, digest) in enumerate(list(code.files.items())[:SHOWN_FILES])
    )
    more = len(code.files) - SHOWN_FILES
    rest = f'<p class="hint">{words.html("models.code_more", count=more, folder=folder)}</p>' if more > 0 else ""
    head = words.html("models.code_files", count=len(code.files), digest=code.digest[:12])
    return f'<details id="own-code" class="own-code"><summary>{head}</summary>{rows}{rest}</details>' if rows else ""


def text_of(file: Path, words: Words) -> str:
    """Return what a file of code says, as far as a page can show it."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(SHOWN_BYTES + 1)
    except OSError as error:
        return words("trust.unreadable", file=file, reason=error.strerror)
    if b"\0" in data:
        return words("models.code_binary")
    text = data[:SHOWN_BYTES].decode("utf-8", "replace")
    return text + "\n" + words("models.code_cut", file=file) if len(data) > SHOWN_BYTES else text
