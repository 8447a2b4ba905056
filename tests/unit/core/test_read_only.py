"""A process that only looks writes nothing in the workspace, whichever way it tries."""

import json
import subprocess
import sys

import pytest

from studio.core.workspace import Workspace

TRY = """
import json, os, pathlib, shutil, sys, tempfile
from studio.core.storage.read_only import ReadOnlyWorkspace, make_read_only, require_owner
from studio.core.i18n import Problem
from studio.core.workspace import Workspace, write_json
root = pathlib.Path(sys.argv[1])
make_read_only(root, Problem("workspace.looking_unowned"))
old = root / "saves" / "old.json"
outside = pathlib.Path(sys.argv[2])
tries = {
    "open": lambda: open(root / "saves" / "new", "w"),
    "append": lambda: open(old, "ab"),
    "update": lambda: open(old, "r+"),
    "os.open": lambda: os.open(old, os.O_RDWR),
    "mkdir": lambda: (root / "data" / "x").mkdir(),
    "unlink": lambda: old.unlink(),
    "rename out": lambda: old.rename(outside / "old.json"),
    "rename in": lambda: (outside / "in").rename(root / "models" / "in"),
    "rmtree": lambda: shutil.rmtree(root / "saves" / "m"),
    "rmdir": lambda: (root / "saves" / "m" / "empty").rmdir(),
    "link": lambda: os.link(old, root / "saves" / "hard"),
    "symlink": lambda: (root / "saves" / "soft").symlink_to(old),
    "truncate": lambda: os.truncate(old, 0),
    "touch": lambda: old.touch(),
    "chmod": lambda: old.chmod(0o600),
    "utime": lambda: os.utime(old),
    "json": lambda: write_json(old, {}),
    "through a link": lambda: open(root / "linked" / "new", "w"),
    "trash": lambda: (root / ".trash").mkdir(),
    "relative": lambda: open("saves/relative", "w"),
    "copy": lambda: shutil.copy(old, root / "data" / "copy"),
    "owner": require_owner,
}
os.chdir(root)
passed = []
for name, attempt in tries.items():
    try:
        attempt()
        passed.append(name)
    except Problem as problem:
        assert "only looks" in str(problem), problem
    except OSError as error:
        assert "only looks" in str(error.strerror), error
assert old.read_text() == "{}"
(root / "saves").mkdir(exist_ok=True)
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "new").write_text("x")
Workspace(root).prepare()
print(json.dumps(passed))
"""


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    made = Workspace(tmp_path / "workspace").prepare()
    (made.saves / "old.json").write_text("{}")
    (made.saves / "m" / "empty").mkdir(parents=True)
    (made.root / "linked").symlink_to(made.saves)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "in").write_text("x")
    return made


def everything(workspace: Workspace) -> dict[str, object]:
    found = {}
    for path in workspace.root.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else None)
    return found


def test_nothing_is_written(workspace, tmp_path):
    before = everything(workspace)
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(workspace.root), str(tmp_path / "outside")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert everything(workspace) == before
