"""The commands that train one run on several machines, to be pasted into a terminal of each."""

import shlex
import sys

from studio.core.i18n import Problem
from studio.core.locations import ROOT
from studio.train.execution.executors.subprocesses import worker
from studio.train.runs import Run

PORT = 29500  # torchrun's own default


def commands(run: Run, nodes: int, processes: int, address: str, port: int = PORT) -> list[str]:
    """Return one torchrun command a machine, the first for the machine at `address`, which is the first of the group.

    The project and the run's folder must lie at the same path on all of them (a shared disk). The first process writes
    the run's events, so that the studio shows the run, and each looks for the request to stop there.

    Args:
        nodes: how many machines, 2 or more.
        processes: how many processes on each: its number of GPUs.
        address: a name or address of the first machine that the others reach.

    Raises:
        Problem: a number that is out of range, or an address that is none.
    """
    if nodes < 2 or processes < 1 or not 1 <= port <= 65535:
        raise Problem("executors.bad_nodes", nodes=nodes, processes=processes, port=port)
    if not address or any(sign.isspace() for sign in address) or address.startswith("-"):
        raise Problem("executors.bad_address", address=address)
    command_lines = [
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nnodes",
            str(nodes),
            "--node_rank",
            str(rank),
            "--nproc_per_node",
            str(processes),
            "--master_addr",
            address,
            "--master_port",
            str(port),
            *worker(run, None),
        ]
        for rank in range(nodes)
    ]
    return [f"cd {shlex.quote(str(ROOT))} && {shlex.join(one)}" for one in command_lines]
