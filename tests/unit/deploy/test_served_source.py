"""The GGUF files that can be served: each by its first part alone, and as large as all of its parts."""

import pytest

from studio.core.workspace import Workspace
from studio.deploy import served_source


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


def listed(workspace: Workspace, *names: str) -> set[str]:
    """Return what is listed of files of 1000 bytes with these names."""
    folder = workspace.models / "mine-GGUF"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"G" * 1000)
    return {name.removeprefix("mine-GGUF/") for name in served_source.gguf_files(workspace)}


def test_only_what_is_called_as_a_later_part_is_none_of_the_files(workspace):
    whole = {"chain-of-thought-Q4_K_M.gguf", "one-of-many.gguf", "a-2-of-3.gguf"}
    parts = {f"split-0000{number}-of-00003.gguf" for number in (1, 2, 3)}
    assert listed(workspace, *whole, *parts) == whole | {"split-00001-of-00003.gguf"}


@pytest.mark.parametrize(
    ("file", "size"),
    [("split-of-it-00001-of-00003.gguf", 3000), ("split-of-it.gguf", 1000), ("other-00001-of-00003.gguf", 1000)],
)
def test_a_file_is_as_large_as_its_parts(workspace, file, size):
    listed(workspace, *(f"split-of-it-0000{number}-of-00003.gguf" for number in (1, 2, 3)), file)
    assert served_source.find(workspace, f"mine-GGUF/{file}").bytes == size
