"""Drawn forms: what the page's script reads of one is never hidden by a field of it."""

import re

from conftest import ROOT


def test_no_property_of_a_form_is_read_that_a_field_may_hide():
    """A field called "dataset" or "reset" stands before the form's own property of that name."""
    script = (ROOT / "assets" / "studio.js").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for end in ("*.py", "*.html") for path in ROOT.glob(f"studio/**/{end}")]
    fields = set(re.findall(r'\bname="(\w+)"', "".join(sources)))
    read = set(re.findall(r"\bform\.(\w+)", script))
    assert {"dataset", "name"} <= fields and not read & fields
    assert read == {"querySelector"}, "getAttribute, or the method of HTMLFormElement itself, reads the form"
