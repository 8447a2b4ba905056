"""The GGUF files that can be served: each by its first part alone, and as large as all of its parts."""

import re
import struct

import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.deploy import served_source


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


def gguf(name: str) -> bytes:
    """Return a GGUF file of 1000 bytes without weights that says what its name does of its place among parts."""
    number, count = map(int, found.groups()) if (found := re.search(r"-(\d{5})-of-(\d{5})", name)) else (1, 1)
    fields = {b"split.no": number - 1, b"split.count": count}
    body = b"".join(struct.pack(f"<Q{len(key)}sIH", len(key), key, 2, value) for key, value in fields.items())
    return (b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) + body).ljust(1000, b"\0")


def listed(workspace: Workspace, *names: str) -> set[str]:
    """Return what is listed of files of 1000 bytes with these names."""
    folder = workspace.models / "mine-GGUF"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(gguf(name))
    return {name.removeprefix("mine-GGUF/") for name in served_source.gguf_files(workspace)}


def test_only_what_is_called_as_a_later_part_is_none_of_the_files(workspace):
    whole = {"chain-of-thought-Q4_K_M.gguf", "one-of-many.gguf", "a-2-of-3.gguf"}
    parts = {f"split-0000{number}-of-00003.gguf" for number in (1, 2, 3)}
    assert listed(workspace, *whole, *parts) == whole | {"split-00001-of-00003.gguf"}


@pytest.mark.parametrize(("file", "size"), [("split-of-it-00001-of-00003.gguf", 3000), ("split-of-it.gguf", 1000)])
def test_a_file_is_as_large_as_its_parts(workspace, file, size):
    listed(workspace, *(f"split-of-it-0000{number}-of-00003.gguf" for number in (1, 2, 3)), file)
    assert served_source.find(workspace, f"mine-GGUF/{file}").bytes == size


def test_a_part_stands_for_the_first_and_one_that_lacks_others_for_nothing(workspace):
    listed(workspace, "a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "b-00001-of-00003.gguf")
    folder = workspace.models / "mine-GGUF"
    assert served_source.find(workspace, str(folder / "a-00002-of-00002.gguf")).gguf == folder / "a-00001-of-00002.gguf"
    with pytest.raises(Problem, match="part 2, 3 is not beside it"):
        served_source.find(workspace, "mine-GGUF/b-00001-of-00003.gguf")
