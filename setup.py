"""Puts into the wheel what the studio reads at run time and what stands beside its package.

studio/core/locations.py finds it in `studio/packaged`. All else is said in pyproject.toml.
"""

import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# By name: the data/ of a clone is also the workspace of whoever uses it, and their sets are theirs.
DATA = (
    "choices.json",
    "dataset_info.json",
    "identity_en.json",
    "identity_zh.json",
    "kto.json",
    "multi_turn.json",
    "preference.json",
    "preference_chat.json",
    "pretrain.jsonl",
    "sft_en_zh.json",
    "system_prompts.json",
    "tool_calls.json",
)


def shipped() -> list[str]:
    """Return the paths of what goes into `studio/packaged`, from here."""
    assets = sorted(path.as_posix() for path in Path("assets").rglob("*") if path.is_file())
    locks = [f"requirements-{name}.lock" for name in ("ppo", "uv", "open-webui")]
    return [*assets, *(f"data/{name}" for name in DATA), *locks]


class Build(build_py):
    """Builds the package with what is shipped beside it."""

    def run(self) -> None:
        """Build, from nothing: modules that are gone from the package since the last build must not come along."""
        if self.editable_mode:
            return super().run()
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        packaged = Path(self.build_lib, "studio", "packaged")
        for name in shipped():
            (packaged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, packaged / name)
        registry = packaged / "data" / "dataset_info.json"
        entries = json.loads(registry.read_text(encoding="utf-8"))
        kept = {name: entry for name, entry in entries.items() if entry.get("file_name") in DATA}
        registry.write_text(json.dumps(kept, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def get_source_files(self) -> list[str]:
        """Return what a source distribution must hold to be built from."""
        return [*super().get_source_files(), *shipped()]


setup(cmdclass={"build_py": Build})
