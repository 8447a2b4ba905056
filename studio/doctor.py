"""`python3 launch.py doctor`: looks the machine over and says of each thing whether it is good, missing, and how to
mend it. The page *About this machine* is the same, asked for as JSON.

Runs with the Python of `.venv` where there is one, and with the standard library alone otherwise.
"""

import http.client
import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import LANGUAGES, Reason, Words

# The first NVIDIA driver for CUDA 13, which the pinned torch is built with (CUDA 13.0 release notes, table of driver
# versions).
DRIVER = 580
DISK_GOOD, DISK_LEAST = 30 * 10**9, 5 * 10**9
MEMORY_GOOD = 7 * 10**9
HUBS = ("modelscope.cn", "huggingface.co")
GOOD, OPTIONAL, MISSING = "good", "optional", "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, its state (good, optional: the studio does without; missing), and the
    sentence to tell.
    """

    what: str
    state: str
    key: str
    facts: dict = field(default_factory=dict)

    def line(self, words: Words) -> str:
        """Return the line as it is printed."""
        state = words(f"launch.doctor_{self.state}")
        # A Chinese character fills two columns of a terminal.
        wide = sum(ord(letter) > 0x2E80 for letter in state)
        return f"{state:<{9 - wide}} {self.what:<14} {words(f'launch.doctor_{self.key}', **self.facts)}"


def output_of(*command: str) -> str | None:
    """Return what `command` prints, or None where it is not installed, fails, or takes more than 5 seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def check_python() -> Finding:
    """Is this the environment that launch.py made, on a Python that it was locked for?"""
    facts = {"version": sys.version.split()[0], "path": sys.prefix}
    right = sys.prefix != sys.base_prefix and sys.version_info[:2] in ((3, 11), (3, 12))
    return Finding("Python", GOOD if right else MISSING, "python" if right else "no_environment", facts)


def check_driver() -> Finding:
    """Is there an NVIDIA driver, and is it new enough for the pinned torch?"""
    output = output_of("nvidia-smi", "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader")
    if not output:
        return Finding("driver", OPTIONAL, "no_driver", {"needed": DRIVER})
    # Below its table it warns, for example of a card whose memory of settings is corrupted.
    cards = re.findall(r"^((\d+)[\d.]*), *(.+, .+)$", output, re.M)
    if not cards:
        return Finding("driver", OPTIONAL, "not_looked", {"reason": reasons.original(output)})
    version, major, _ = cards[0]
    old = int(major) < DRIVER
    return Finding(
        "driver",
        MISSING if old else GOOD,
        "old_driver" if old else "driver",
        {"version": version, "gpus": "; ".join(card for *_, card in cards), "needed": DRIVER},
    )


def check_cuda() -> Finding:
    """Does the driver speak the CUDA version that torch was built with?"""
    output = re.search(r"CUDA Version:\s*([\d.]+)", output_of("nvidia-smi") or "")
    if not output:
        return Finding("CUDA", OPTIONAL, "no_cuda")
    return Finding("CUDA", GOOD, "cuda", {"version": output[1]})


def check_torch() -> Finding:
    """What does torch see to compute on?"""
    try:
        import torch
    except ImportError as error:
        return Finding("torch", MISSING, "no_torch", {"reason": reasons.of(error)})
    facts = {"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        facts["gpus"] = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return Finding("torch", GOOD, "torch_gpu", facts)
    if torch.backends.mps.is_available():
        return Finding("torch", GOOD, "torch_gpu", facts | {"gpus": "MPS"})
    # A GPU with a driver that torch cannot use is a fault to mend; a machine with none is not.
    blind = output_of("nvidia-smi", "-L")
    return Finding("torch", MISSING if blind else GOOD, "torch_blind" if blind else "torch_cpu", facts)


def check_bf16() -> Finding:
    """Can the device that training will use compute in bfloat16? Tried, not read from a table."""
    import torch

    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        return Finding("bf16", OPTIONAL, "no_bf16")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ones = torch.ones(64, 64, dtype=torch.bfloat16, device=device)
    right = (ones @ ones)[0, 0].item() == 64
    return Finding("bf16", GOOD if right else MISSING, "bf16", {"device": device})


def check_bitsandbytes() -> Finding:
    """Does 4-bit quantisation (QLoRA) run on the device that training will use? Tried there and back."""
    import torch
    from bitsandbytes import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.linspace(-1, 1, 64 * 64, device=device).reshape(64, 64)
    back = functional.dequantize_4bit(*functional.quantize_4bit(matrix, quant_type="nf4"))
    if not torch.allclose(back.float(), matrix, atol=0.2):
        return Finding("bitsandbytes", MISSING, "failed", {"reason": Reason("reasons.four_bits_wrong")})
    return Finding(
        "bitsandbytes", GOOD, "bitsandbytes", {"version": importlib.metadata.version("bitsandbytes"), "device": device}
    )


def check_disk(workspace: Path) -> Finding:
    """Is there room for models and checkpoints?"""
    there = next(folder for folder in (workspace, *workspace.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    state = GOOD if free >= DISK_GOOD else OPTIONAL if free >= DISK_LEAST else MISSING
    return Finding(
        "disk", state, "disk" if state == GOOD else "little_disk", {"free": free // 10**9, "path": workspace}
    )


def _memory_bytes() -> int:
    """Return the size of the machine's memory, 0 where this Python cannot tell it (a bare one on Windows)."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if importlib.util.find_spec("psutil") is None:
        return 0
    import psutil

    return psutil.virtual_memory().total


def check_memory() -> Finding:
    """Is there memory for the studio, the libraries and the starter model?"""
    total = _memory_bytes()
    facts = {"total": round(total / 10**9), "needed": MEMORY_GOOD // 10**9}
    return Finding(
        "memory",
        GOOD if total >= MEMORY_GOOD else OPTIONAL,
        "memory" if total >= MEMORY_GOOD else "little_memory",
        facts,
    )


def check_port(host: str, port: int) -> Finding:
    """Can the studio listen there?"""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return Finding("port", MISSING, "port_taken", {"host": host, "port": port, "reason": reasons.of(error)})
    return Finding("port", GOOD, "port", {"host": host, "port": port})


def check_hub(hub: str) -> Finding:
    """Does the hub answer over HTTPS within 3 seconds (through the proxy, where one is set)? Any answer will do, a
    refusal too.
    """
    try:
        urllib.request.build_opener().open(urllib.request.Request(f"https://{hub}", method="HEAD"), timeout=3).close()
    except urllib.error.HTTPError as error:
        return Finding(hub, GOOD, "hub", {"code": error.code})
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        reason = reasons.of(cause) if isinstance(cause, Exception) else reasons.original(str(cause))
        return Finding(hub, OPTIONAL, "no_hub", {"reason": reason})
    return Finding(hub, GOOD, "hub", {"code": 200})


def check_docker() -> Finding:
    """Is a Docker daemon there that this person may use?"""
    version = output_of("docker", "version", "--format", "{{.Server.Version}}")
    if version:
        return Finding("docker", GOOD, "program", {"version": version})
    return Finding("docker", OPTIONAL, "docker_refuses" if shutil.which("docker") else "no_docker")


def check_ollama() -> Finding:
    """Is Ollama installed?"""
    output = output_of("ollama", "--version")
    if not output:
        return Finding("ollama", OPTIONAL, "no_ollama")
    # Where its server does not run, a warning of that comes first.
    version = re.search(r"version is (\S+)", output)
    return Finding("ollama", GOOD, "program", {"version": version[1] if version else output.splitlines()[0]})


def check_chromium() -> Finding:
    """Is there a browser for the tests of the page?"""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        version = output_of(name, "--version") if shutil.which(name) else None
        if version:
            return Finding("chromium", GOOD, "program", {"version": version})
    return Finding("chromium", OPTIONAL, "no_chromium")


def looked(what: str, state: str, check: Callable[..., Finding], *arguments: object) -> Finding:
    """Return what a check finds. One that fails in a way of its own takes no other's answer with it: it is told as
    `state`, which is MISSING where the studio cannot do without what was tried.
    """
    try:
        return check(*arguments)
    except Exception as error:  # a library that is half there fails in any way at all
        reason = reasons.of_fault(error)
        return Finding(what, state, "failed" if state == MISSING else "not_looked", {"reason": reason})


def examine(workspace: Path, address: tuple[str, int] | None, hubs: tuple[str, ...] = HUBS) -> list[Finding]:
    """Look at everything, the slow things side by side, and return the findings in the order in which they are told.

    `address` is where a studio is to listen; None where one is open already, and the port is not to be looked at. Of
    the `hubs` each is asked for an answer.
    """
    programs = {
        "docker": check_docker,
        "ollama": check_ollama,
        "chromium": check_chromium,
        "driver": check_driver,
        "CUDA": check_cuda,
    }
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(looked, hub, OPTIONAL, check_hub, hub) for hub in hubs]
        docker, ollama, chromium, driver, cuda = (
            pool.submit(looked, what, OPTIONAL, check) for what, check in programs.items()
        )
        here = [
            looked("torch", MISSING, check_torch),
            looked("bf16", MISSING, check_bf16),
            looked("bitsandbytes", MISSING, check_bitsandbytes),
            looked("disk", OPTIONAL, check_disk, workspace),
            looked("memory", OPTIONAL, check_memory),
            *([looked("port", OPTIONAL, check_port, *address)] if address else []),
        ]
        after = [future.result() for future in (*answers, docker, ollama, chromium)]
        return [check_python(), driver.result(), cuda.result(), *here, *after]


def main(arguments: list[str]) -> int:
    """Print the findings for HOST PORT WORKSPACE LANGUAGE, or for --json WORKSPACE each as a line of JSON,
    those of the hubs only with --hubs. Returns 1 where something is missing that the studio cannot do without.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of kernels that the studio does not use
    if arguments[0] == "--json":
        for finding in examine(Path(arguments[1]), None, HUBS if "--hubs" in arguments else ()):
            print(json.dumps(vars(finding), default=str))
        return 0
    host, port, workspace, language = arguments
    words = Words(language if language in LANGUAGES else "en")
    findings = examine(Path(workspace), (host, int(port)))
    for finding in findings:
        print(finding.line(words))
    missing = sum(finding.state == MISSING for finding in findings)
    print(words("launch.doctor_bad_end", count=missing) if missing else words("launch.doctor_good_end"))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
