"""The page around gradio: what goes into its head, and nothing that leaves this machine."""

import re
from collections.abc import Callable, Iterator

import gradio as gr
from markupsafe import Markup

from studio.core import locations
from studio.web import policy

STYLES = (
    "uplot/uPlot.min.css",
    "studio.css",
    "monitor.css",
    "charts.css",
    "models.css",
    "datasets.css",
    "evaluate.css",
    "export.css",
    "deploy.css",
    "deploy_tools.css",
    "columns.css",
    "chat.css",
)
SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    "idiomorph/idiomorph.min.js",
    "chart_points.js",
    "chart_feed.js",
    "chart_tools.js",
    "charts.js",
    "compare.js",
    "plots.js",
    "answers.js",
    "live.js",
    "toasts.js",
    "ask.js",
    "studio.js",
    "address.js",
    "choices.js",
    "drafts.js",
    "form.js",
    "columns.js",
    "written.js",
    "notices.js",
)

# gradio's page asks a font host to be ready and loads a script for pages that are framed by others; the studio needs
# neither.
_ELSEWHERE = re.compile(
    r'<link\s[^>]*href="https?://[^>]*>|<script\s[^>]*src="https?://[^>]*>\s*</script>|<meta\s[^>]*content="https?://[^>]*>'
)
# A script runs only with the nonce of its response; the loader of gradio's parts takes it from the element with that
# name.
_SCRIPT, _NONCE = re.compile(r"<script(?=[\s>])"), '<script nonce="{{ nonce() }}"'
_NONCE_FOR_PARTS = '<meta property="csp-nonce" nonce="{{ nonce() }}">'

# What gradio tells the page of every endpoint is a third of it. The page asks by name (assets/live.js), and needs the
# defaults of what it leaves out; gradio's own part of it asks for none of them, but looks for their lists.
_ENDPOINTS = "window.gradio_api_info = {{ gradio_api_info | toorjson }};"
_DEFAULTS = (
    "window.gradio_api_info = { named_endpoints: {}, unnamed_endpoints: {} };"
    " window.endpointDefaults = {{ defaults(gradio_api_info) | toorjson }};"
)


def claim(styles: str = "") -> None:
    """Make gradio serve its page without any address of another machine, and with the studio's styles and scripts in
    its head, and after them further `styles`.

    gradio renders its page by a public Jinja environment, so its loader is wrapped; no installed file is touched.
    """
    from gradio.routes import templates
    from jinja2 import BaseLoader

    theirs = templates.env.loader

    class Ours(BaseLoader):
        def get_source(self, environment, template):
            """Return gradio's template, of its page as it is served here."""
            source, path, uptodate = theirs.get_source(environment, template)
            if template.endswith("index.html"):
                source = (
                    _SCRIPT.sub(_NONCE, _ELSEWHERE.sub("", source))
                    .replace(_ENDPOINTS, _DEFAULTS)
                    .replace("</head>", _NONCE_FOR_PARTS + "{{ studio_head() }}</head>", 1)
                )
            return source, path, uptodate

    templates.env.loader = Ours()
    templates.env.globals |= {"nonce": policy.nonce, "defaults": defaults, "studio_head": head_with(styles)}
    templates.env.cache.clear()


def keep_own(blocks: gr.Blocks) -> None:
    """Let the page of a mounted window be told of its own components and events, and not of what only scripts ask: the
    endpoints, two thirds of all, which stay in what gradio tells `gradio_client`.
    """
    own = blocks.config["page"][""]
    endpoints = {event["id"] for event in blocks.config["dependencies"] if event["api_name"] is not False}
    arguments = {part["id"] for part in blocks.config["components"] if part["type"] == "api"}
    own["dependencies"] = [event for event in own["dependencies"] if event not in endpoints]
    own["components"] = [part for part in own["components"] if part not in arguments]
    own["layout"] = _without(own["layout"], arguments)


def _without(layout: dict, parts: set[int]) -> dict:
    inside = [_without(one, parts) for one in layout.get("children", ()) if one["id"] not in parts]
    return layout | ({"children": inside} if "children" in layout else {})


def defaults(told: dict) -> dict[str, list]:
    """Return the defaults of every endpoint's arguments, None for those without one, from what gradio tells of them."""
    return {
        name.removeprefix("/"): [one.get("parameter_default") for one in endpoint["parameters"]]
        for name, endpoint in told["named_endpoints"].items()
    }


def head_with(further: str = "") -> Callable[[], Markup]:
    """Return what makes the head of a response: the studio's styles, then `further` ones, and its scripts with the
    nonce; inline, so that they are found under any sub-path and behind any proxy.
    """
    styles = "".join(f"<style>{one}</style>" for one in [*map(_asset, STYLES), further])
    scripts = [_asset(name) for name in SCRIPTS]

    def head() -> Markup:
        return Markup(styles + "".join(f'<script nonce="{policy.nonce()}">{one}</script>' for one in scripts))

    return head


def _asset(name: str) -> str:
    return (locations.ASSETS / name).read_text(encoding="utf-8")


# What gradio's own parts take from the studio's colours (assets/studio.css), the same names in light and dark.
_COLOURS = {
    "body_background_fill": "--canvas",
    "body_text_color": "--ink",
    "body_text_color_subdued": "--ink-soft",
    "background_fill_primary": "--panel",
    "background_fill_secondary": "--canvas",
    "border_color_primary": "--rule",
    "border_color_accent_subdued": "--rule",
    "color_accent_soft": "--accent-soft",
    "block_title_text_color": "--ink-soft",
    "block_info_text_color": "--ink-soft",
    "input_background_fill": "--field",
    "input_border_color": "--rule",
    "checkbox_background_color_selected": "--accent",
    "checkbox_border_color_selected": "--accent",
    "button_primary_background_fill": "--fill",
    "button_primary_background_fill_hover": "--fill-strong",
    "button_primary_border_color": "--fill",
    "button_secondary_background_fill": "--field",
    "button_secondary_border_color": "--rule",
}
_NOTHING = {
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_label_background_fill": "transparent",
    "block_label_border_width": "0px",
    "panel_background_fill": "transparent",
    "button_primary_text_color": "#ffffff",
}


def theme() -> gr.themes.Base:
    """Return the theme: system fonts, one neutral scale, one accent, tight rows."""
    sans = [
        "system-ui",
        "-apple-system",
        "Segoe UI",
        "PingFang SC",
        "Microsoft YaHei",
        "Noto Sans CJK SC",
        "sans-serif",
    ]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace"]
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.gray,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_sm,
        font=sans,
        font_mono=mono,
    )
    both = {name: f"var({colour})" for name, colour in _COLOURS.items()} | _NOTHING
    return base.set(
        **both,
        **{f"{name}_dark": value for name, value in both.items()},
        block_shadow="none",
        shadow_drop="none",
        shadow_drop_lg="none",
        input_border_width="1px",
        block_title_text_weight="500",
    )


def draw_when_opened(rooms: gr.Tabs) -> None:
    """Let what stands in a tab be drawn when that tab is opened first, and not when the page is.

    gradio draws, in every tab, the components of which the open one has some of the same class. So those of each tab
    are of a class of their own to its page; a class that a package brings is looked up by this name, and the studio has
    none.
    """
    for tab in rooms.children:
        for block in _within(tab):
            if isinstance(block, gr.components.Component):
                block.component_class_id += f"-{tab.id}"


def _within(block: gr.blocks.BlockContext) -> Iterator[gr.blocks.Block]:
    for child in getattr(block, "children", ()):
        yield child
        yield from _within(child)
