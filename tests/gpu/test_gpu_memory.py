"""The memory estimate against what torch's allocator held at its peak on the card: Qwen 2.5 shapes of random numbers,
by LLaMA-Factory in process, two steps on full and padded rows.
"""

import shutil
import tempfile

import pytest
from gpu_figures import gib

from benchmarks.fit import REACH, Case, estimated, measured_each
from studio.core.device_lease import free_bytes

pytest_plugins = ["card"]

FP16 = {"bf16": False, "fp16": True}
PURE = {"bf16": False, "pure_bf16": True}
SMALL = [
    Case("{}", "lora", 1024, 4),
    Case("{}", "lora", 512, 4, False),
    Case("{}", "lora", 1024, 4, bits=8),
    Case("{}", "lora", 1024, 4, bits=4),
    Case("{}", "full", 1024, 2),
    Case("{}", "lora", 1024, 4, extra=FP16),
    Case("{}", "full", 1024, 2, extra=FP16),
]
LARGE = [
    Case("{}", "lora", 1024, 4),
    Case("{}", "lora", 1024, 4, bits=8),
    Case("{}", "lora", 1024, 4, bits=4),
    Case("{}", "inference", 4096, 1),
]
FULL = {"3B": Case("3B", "full", 1024, 1), "7B": Case("7B", "full", 1024, 1, extra=PURE)}
CASES = {
    "0.5B": [
        *SMALL,
        Case("{}", "full", 512, 4, False),
        Case("{}", "freeze", 1024, 4),
        Case("{}", "inference", 4096, 1),
    ],
    "1.5B": SMALL,
    "3B": LARGE,
    "7B": LARGE,
    "full 3B": [FULL["3B"]],
    "full 7B": [FULL["7B"]],
}


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_near_the_peak(name, record):
    size = name.removeprefix("full ")
    cases = [Case(**vars(one) | {"model": size}) for one in CASES[name]]
    needed, free = {id(one): estimated(one) for one in cases}, free_bytes()
    fitting = [one for one in cases if 1.1 * needed[id(one)] < free]
    if not fitting:
        pytest.skip(f"needs {gib(min(needed.values()))} of the card; {gib(free)} are free")
    weights = estimated(Case(size, "inference", 256, 1))
    if 1.2 * weights > shutil.disk_usage(tempfile.gettempdir()).free:
        pytest.skip(f"the model takes {gib(weights)} on the disk")
    far = []
    for case, figures in zip(fitting, measured_each(fitting), strict=True):
        if "fault" in figures:
            far.append(f"{described(case)}: {figures['fault'][-600:]}")
            continue
        ratio, whole = needed[id(case)] / figures["peak"], (figures["context"] or 0) + figures["reserved"]
        near = abs(ratio - 1) <= REACH
        record(
            f"{described(case)}: estimated peak, against the measured one (reserved {gib(figures['reserved'])}, context"
            f" {gib(figures['context'] or 0)})",
            gib(needed[id(case)]),
            gib(figures["peak"]),
            f"{ratio:.3f}",
            f"within {REACH:.0%}",
            near,
        )
        total = estimated(case, whole=True)
        if not near:
            far.append(f"{described(case)}: {ratio:.3f}")
        if figures["context"] and whole > 1.15 * total:
            far.append(f"{described(case)}: the process took {gib(whole)}, told were {gib(total)}")
    assert not far, "\n".join(far)


def described(case: Case) -> str:
    """Return what the table calls a case: its numbers too, where they are not bf16 under autocast."""
    return case.name() + (", fp16" if "fp16" in case.extra else ", pure bf16" if "pure_bf16" in case.extra else "")
