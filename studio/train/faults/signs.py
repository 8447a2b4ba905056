"""What the libraries under a trainer say when something common is wrong, and the sentence that a person is told of it.

Each sign is a pattern for `ClassName: message` of an error, or of one that it came from. Its named groups become facts
of the sentence, beside `message`, what the library said. The first that fits is told: a narrower one stands before a
wider one.
"""

import re
from dataclasses import dataclass

from studio.core.processes import memory_faults


@dataclass(frozen=True)
class Sign:
    """The key of a sentence and the pattern of the errors that it tells."""

    key: str
    pattern: re.Pattern[str]


def _sign(key: str, *patterns: str) -> Sign:
    return Sign(key, re.compile("|".join(patterns), re.DOTALL))


PACKAGE = r"[A-Za-z0-9][A-Za-z0-9._-]*"

SIGNS = (
    _sign("train.out_of_memory", *memory_faults.PATTERNS),
    _sign(
        "faults.group",
        r"\bNCCL\b",
        r"\bnccl[A-Z]",
        r"DistBackendError",
        r"DistNetworkError",
        r"DistStoreError",
        r"\bgloo\b",
        r"Connection closed by peer",
        r"connectFullMesh",
        r"EADDRINUSE",
        r"address already in use",
        r"Watchdog caught collective",
    ),
    _sign(
        "faults.gpu_too_old",
        r"no kernel image is available",
        r"is not compatible with the current PyTorch installation",
    ),
    _sign(
        "faults.no_gpu",
        r"Found no NVIDIA driver",
        r"No CUDA GPUs are available",
        r"Torch not compiled with CUDA",
        r"invalid device ordinal",
        r"driver on your system is too old",
        r"doesn't support bf16/gpu",
        r"requires? (a )?(CUDA|GPU)",
        r"GPU is required",
        r"No GPU found",
        r"CUDA_HOME",
    ),
    _sign(
        "faults.quantisation",
        r"bitsandbytes.{0,80}(CUDA|GPU|compiled)",
        r"CUDA Setup failed",
        r"supported by the bitsandbytes",
        r"libbitsandbytes",
        r"[Qq]uantiz\w+.{0,60}(not supported|only supported|CUDA|GPU)",
    ),
    _sign(
        "train.accelerator_poisoned",
        r"device-side assert",
        r"illegal memory access",
        r"unspecified launch failure",
        r"CUDA error",
        r"HIP error",
        r"CUDNN_STATUS",
        r"MPS.{0,40}(failed|crash)",
    ),
    _sign(
        "faults.architecture",
        r"model type `?(?P<type>[\w.-]+)`? but Transformers does not recognize",
        r"Unrecognized configuration class <class '[^']*?(?P<type_1>\w+)'>",
        r"Unrecognized model in (?P<type_2>\S+)\.",
    ),
    _sign(
        "train.library_missing",
        rf"The '(?P<name>{PACKAGE})[^']*' distribution was not found",
        rf"No package metadata was found for (?:[Tt]he )?'?(?P<name_1>{PACKAGE})",
        rf"packages that were not found in your environment: (?P<name_2>{PACKAGE})",
        rf"the package (?P<name_3>{PACKAGE}) seems to be not installed",
        rf"pip install (-U |--upgrade )?['\"`]?(?P<name_4>{PACKAGE})",
        r"^ModuleNotFoundError: No module named '(?P<name_5>[^'.]+)",
        rf"[Uu]sing `?(?P<name_6>{PACKAGE})`?[^.]{{0,40}}requires .{{0,60}}(installed|to install)",
        rf"^ImportError: `?(?P<name_7>{PACKAGE})`? (is|are) (not installed|required|not available)",
        rf"requires the (?!following)(?P<name_8>{PACKAGE}) (library|package)",
        rf"(need|have) to install `?(?P<name_9>{PACKAGE})`?",
    ),
    _sign(
        "faults.library_version",
        r"^(ImportError|VersionConflict): .{0,120}(is required for a normal functioning|but found|incompatible|required"
        r" version)",
    ),
    _sign("faults.needs_code", r"trust_remote_code", r"contains custom code which must be executed"),
    _sign(
        "faults.gated",
        r"^GatedRepoError",
        r"gated repo",
        r"Access to model (?P<name>\S+) is restricted",
        r"\b(401|403) Client Error",
        r"Invalid credentials",
        r"^RepositoryNotFoundError.{0,400}\b401\b",
    ),
    _sign(
        "faults.no_network",
        r"couldn't connect to 'https?://",
        r"^OfflineModeIsEnabled",
        r"^(ConnectionError|ConnectError|ConnectTimeout|ReadTimeout|MaxRetryError)",
        r"^(NewConnectionError|NameResolutionError|ProxyError|SSLError|gaierror)",
        r"Max retries exceeded",
        r"offline mode is enabled",
        r"Name or service not known",
        r"Temporary failure in name resolution",
        r"Network is unreachable",
        r"outgoing traffic has been disabled",
    ),
    _sign(
        "faults.model_not_found",
        r"(?P<name>\S+) is not a local folder and is not a valid model identifier",
        r"^HFValidationError: .{0,200}'(?P<name_1>[^']*)'",
        r"^RepositoryNotFoundError",
        r"(?P<name_2>\S+) does not appear to have (a file|files) named",
        r"Incorrect path_or_model_id: '(?P<name_3>[^']*)'",
        r"no file named .{1,200} found in directory (?P<name_4>\S+?)\.?$",
        r"Can't find '?adapter_config.json'? at '(?P<name_5>[^']*)'",
    ),
    _sign(
        "faults.weights",
        r"^SafetensorError",
        r"Error while deserializing header",
        r"PytorchStreamReader failed",
        r"unexpected EOF",
        r"not a ZIP archive",
        r"invalid header",
        r"incomplete metadata",
        r"UnpicklingError",
        r"Unable to load weights",
    ),
    _sign("faults.shared_tensors", r"Some tensors share memory", r"share memory, this will lead to duplicate"),
    _sign("faults.adapter_misfit", r"size mismatch for", r"Error\(s\) in loading state_dict"),
    _sign(
        "faults.targets",
        r"Target modules? (?P<targets>.{1,300}?) (is |are )?not found in the base model",
        r"No modules were targeted for adaptation",
        r"Module (?P<targets_1>.{1,200}?) (is )?not found",
        r"Only found (?P<targets_2>.{1,200}) in trainable",
    ),
    _sign(
        "faults.dtypes",
        r"must have the same dtype",
        r"expected (m1 and m2|scalar type|mat1 and mat2)",
        r"Attempting to unscale FP16 gradients",
        r"\"\w+\" not implemented for '(Half|BFloat16)'",
    ),
    _sign("faults.token_outside", r"^IndexError: index out of range in self", r"srcIndex < srcSelectDimSize"),
    _sign(
        "faults.tokenizer",
        r"untagged enum",
        r"^(Exception|TypeError|ValueError): .{0,60}expected value at line",
        r"tokenizer.{0,80}(instantiate|cannot|could not|couldn't|can't)",
        r"Couldn't instantiate the backend tokenizer",
        r"Failed to load tokenizer",
        r"^Exception: .{0,120} at line \d+ column \d+",
    ),
    _sign("faults.json", r"^JSONDecodeError"),
    _sign("faults.chat_template", r"^(TemplateError|TemplateSyntaxError|UndefinedError|TemplateRuntimeError)"),
)


def named(found: re.Match[str]) -> dict[str, str]:
    """Return the facts that a pattern found: a group `name_3` stands for the fact `name` in another wording."""
    return {re.sub(r"_\d+$", "", name): value.strip("`'\" ,.:") for name, value in found.groupdict().items() if value}
