"""What the page says of notices: where they go, and the form for the webhook."""

from markupsafe import escape

from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.train import notifications


def draw(words: Words, workspace: Workspace) -> str:
    """Return what is told, where it goes, and the form in which the webhook is set."""
    host, fault = notifications.host(workspace.saves), notifications.fault(workspace.saves)
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
