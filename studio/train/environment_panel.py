"""What the form says of the environment in which a stage trains: what it takes, how far its making is, or that it is
ready.
"""

from markupsafe import escape

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.jobs import told
from studio.train.execution.environments import GIGABYTES, Environments
from studio.web.live import attribute


def draw(words: Words, environments: Environments, name: str) -> str:
    """Return the line for an environment, with the button that fits."""
    shown = name.upper()
    if environments.is_ready(name):
        return f'<p class="hint">{words.html("environments.ready", name=shown)}</p>'
    job = environments.job(name)
    if job and job.active:
        said = escape(told(job.message, words) or words("environments.title"))
        return (
            f'<div class="progress running{" moving" if job.progress is None else ""}"><div class="bar"><i'
            f' style="width:{formatting.width(job.progress)}%"></i></div><span'
            f' class="num">{said}</span></div>{_button(words("environments.cancel"), "job_cancel", [job.id])}'
        )
    fault = f'<p class="problem" role="alert">{escape(told(job.error, words))}</p>' if job and job.error else ""
    label = words("environments.go_on") if job else words("environments.make", name=shown)
    needs = words.html("environments.needs", name=shown, gigabytes=GIGABYTES[name])
    return f'<p class="hint">{needs}</p>{fault}{_button(label, "train_environment", [name])}'


def _button(label: str, endpoint: str, args: list) -> str:
    return (
        f'<button class="button small" data-call="{endpoint}" data-args=\'{attribute(args)}\'>{escape(label)}</button>'
    )
