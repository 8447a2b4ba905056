"""Where the studio's own files are: beside the package in a clone, inside it where it was installed as a wheel."""

from pathlib import Path

ROOT = Path(__file__).parents[2]  # `python -m studio...` finds the package from here


def _beside_or_inside(name: str) -> Path:
    packaged = ROOT / "studio" / "packaged" / name
    return packaged if packaged.is_dir() else ROOT / name


ASSETS = _beside_or_inside("assets")
SHIPPED_DATA = _beside_or_inside("data")
