"""The calling button of views that are still glued in Python (datasets)."""

from markupsafe import escape

from studio.web.live import attribute


def button(label: str, endpoint: str, args: list, look: str = "", ask: str = "", then: str = "") -> str:
    """Return a button that calls an endpoint, after a question where `ask` has one; `then` is picked afterwards."""
    more = "".join(f' data-{key}="{escape(value)}"' for key, value in (("ask", ask), ("then", then)) if value)
    return (
        f'<button class="button {look}" data-call="{endpoint}"'
        f" data-args='{attribute(args)}'{more}>{escape(label)}</button>"
    )
