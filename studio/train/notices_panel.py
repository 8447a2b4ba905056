"""What the page says of notices: where they go, and the form for the webhook."""

from markupsafe import escape

from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.train import notices


def bell(words: Words) -> str:
    """Return the button that lets the browser show notices of its own; assets/notices.js asks for the permission."""
    said = "".join(
        f' data-{name}="{escape(words("notices.bell_" + name))}"' for name in ("on", "off", "denied", "missing")
    )
    icon = (
        '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2a4 4 0 0 0-4 4v3l-1.3 2.5h10.6L12 9V6a4 4 0 0'
        ' 0-4-4zM6.5 13.5a1.5 1.5 0 0 0 3 0"/></svg>'
    )
    return (
        '<button class="quiet bell" data-switch="notices" aria-pressed="false"'
        f' title="{words("notices.bell")}"{said}>{icon}</button>'
    )


def draw(words: Words, workspace: Workspace) -> str:
    """Return what is told, where it goes, and the form in which the webhook is set."""
    host, fault = notices.host(workspace.saves), notices.fault(workspace.saves)
    now = f'<p class="problem">{escape(words.tell(fault))}</p>' if fault else ""
    if host:
        now += (
            f'<p class="hint">{words.html("notices.goes_to", host=host)} <button class="button small"'
            f' data-call="train_webhook_test" data-done="{words("notices.tested")}">{words("notices.test")}</button>'
            ' <button class="button small" data-call="train_webhook"'
            f" data-args='[\"\"]'>{words('notices.remove')}</button></p>"
        )
    return (
        f'<p class="hint">{words("notices.what")}</p>{now}<form class="webhook" data-submit="train_webhook"'
        f' data-done="{words("notices.saved")}"><input name="address" type="text" inputmode="url" autocomplete="off"'
        f' required aria-label="{words("notices.address")}" placeholder="{words("notices.address")}'
        f' {words("notices.address_hint")}"><button type="submit" class="button'
        f' small">{words("notices.save")}</button><p class="problem" role="alert" hidden></p></form>'
    )
