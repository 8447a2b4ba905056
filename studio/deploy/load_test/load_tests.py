"""All load tests of a workspace, in `saves/.load_tests/`."""

import secrets
import time

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, safe_name
from studio.deploy.load_test.load_records import LoadTest
from studio.deploy.load_test.load_settings import LoadRequest, LoadSettings
from studio.inference import target_names


class LoadTests:
    """The folder of all load tests."""

    def __init__(self, workspace: Workspace):
        self.workspace, self.folder = workspace, workspace.saves / ".load_tests"

    def create(self, targets: list[str], settings: LoadSettings) -> LoadTest:
        """Make the folder of a new test, with its request. Raises Problem where the disk refuses."""
        test = LoadTest(self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
        try:
            test.folder.mkdir(parents=True)
        except OSError as error:
            raise Problem("workspace.unwritable", path=test.folder, reason=reasons.of(error)) from error
        title = settings.title.strip() or ", ".join(map(target_names.served_title, targets))[:120]
        test.write_request(
            LoadRequest(id=test.id, title=title, created=time.time(), targets=targets, settings=settings)
        )
        return test

    def all(self) -> list[LoadTest]:
        """Return every test, newest first; one whose request cannot be read is among them."""
        names = (path.name for path in folders.matching(self.folder, "*") if folders.is_folder(path))
        return [LoadTest(self.folder / name) for name in sorted(names, reverse=True)]

    def find(self, id: str) -> LoadTest:
        """Return the test of that id. Raises Problem where there is none."""
        folder = self.workspace.inside(self.folder, safe_name(id))
        if not files.is_file(folder / "request.json"):
            raise Problem("load_test.missing", id=id)
        return LoadTest(folder)

    def delete(self, id: str) -> str:
        """Move a test into the trash, and return the item's id there. Raises Problem."""
        test = self.find(id)
        try:
            title = str(test.request().title)
        except Problem:
            title = id
        return Trash(self.workspace).put(test.folder, "load_test", title)
