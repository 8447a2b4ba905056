"""`python -m studio.train.execution.executors.torchrun ...`: torchrun, whose agent gives its processes the time that a
checkpoint takes when it is ended.

The agent sends on the signal that ends it, and kills what is still there after 30 seconds, which no flag of it changes.
"""

import sys

from studio.core.processes import collector
from studio.train.execution.executors.termination import grace

SPARE_S = 5.0  # the processes end by themselves when their time is over


def main() -> None:
    """Do what `python -m torch.distributed.run` does with the same arguments."""
    with collector.paused():
        from torch.distributed import run
        from torch.distributed.elastic.multiprocessing.api import PContext

    close = PContext.close

    def patient(self, death_sig=None, timeout: float = 0) -> None:
        close(self, death_sig, max(timeout, int(grace() + SPARE_S)))

    PContext.close = patient
    run.main(sys.argv[1:])


if __name__ == "__main__":
    main()
