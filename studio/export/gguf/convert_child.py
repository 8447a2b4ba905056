"""`python -m studio.export.gguf.convert_child SPEC PARENT`: run llama.cpp's converter, with the studio's consent to a
model's code in force: the converter itself asks nobody.
"""

import os
import runpy
import sys
from pathlib import Path

from studio.core import code_guard
from studio.core.storage import records
from studio.export import child_run
from studio.export.child_run import Spec


class Conversion(Spec):
    """converter: the folder of the scripts. model: what is converted, or the base of `adapter`, if there is one.
    type: "f16", "bf16" or "f32". target: the file to be.
    """

    converter: Path
    model: Path
    adapter: Path | None = None
    type: str
    target: Path


def convert(spec_file: Path) -> dict:
    """Convert, and return {size}. Raises whatever the converter raises, RuntimeError where it ends by itself."""
    spec = records.load(spec_file, Conversion)
    os.environ["NO_COLOR"] = "1"
    code_guard.install()
    script = spec.converter / ("convert_lora_to_gguf.py" if spec.adapter else "convert_hf_to_gguf.py")
    arguments = [str(spec.adapter), "--base", str(spec.model)] if spec.adapter else [str(spec.model)]
    sys.argv = [str(script), *arguments, "--outtype", spec.type, "--outfile", str(spec.target)]
    sys.path.insert(0, str(spec.converter))  # as Python does for a script
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{script.name}: Model {spec.model.name} is not supported") from end
    return {"size": spec.target.stat().st_size}


if __name__ == "__main__":
    child_run.main(convert)
