"""What tells whether the data of a run is still that which it was started on: a number of a row, and so what
`val_size` holds out, means another row in a file that was changed.
"""

import contextlib

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.datasets.files import data_stamp
from studio.train.recipe.validation import sources


def of(workspace: Workspace, recipe: dict[str, object]) -> dict[str, str]:
    """Return the stamp of each dataset that a complete recipe trains on (see `data_stamp`), by its name; of data on a
    hub there is none, nor of what cannot be read.
    """
    found = {}
    for name in sources.names(recipe.get("dataset")):
        with contextlib.suppress(OSError, Problem):  # whoever reads its rows tells what is wrong with it
            for dataset in sources.described(workspace, {**recipe, "dataset": name}, "dataset"):
                if dataset.file:
                    found[name] = data_stamp.of(dataset.file)
    return found
