"""What ended a run, in one sentence: whatever library told it, in both languages."""

import re

import pytest

from studio.core.i18n import Problem, Words
from studio.train.faults import explain


def made(kind: str, message: str = "", base: type = Exception) -> BaseException:
    """Return an error of a class that is called so, as a library that is not loaded here would raise it."""
    return type(kind, (base,), {})(message)


TOLD = [
    (
        made(
            "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.78 GiB"
        ),
        "train.out_of_memory",
    ),
    (
        RuntimeError("MPS backend out of memory (MPS allocated: 17.90 GB, other allocations: 1 MB)"),
        "train.out_of_memory",
    ),
    (RuntimeError("NPU out of memory. Tried to allocate 64.00 MiB"), "train.out_of_memory"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "train.out_of_memory"),
    (
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
            " allocate 8 bytes"
        ),
        "train.out_of_memory",
    ),
    (MemoryError(), "train.out_of_memory"),
    (
        made(
            "DistBackendError",
            "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:317, unhandled cuda error",
            RuntimeError,
        ),
        "faults.group",
    ),
    (
        RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4242"),
        "faults.group",
    ),
    (RuntimeError("CUDA error: no kernel image is available for execution on the device"), "faults.gpu_too_old"),
    (RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"), "faults.no_gpu"),
    (AssertionError("Torch not compiled with CUDA enabled"), "faults.no_gpu"),
    (ValueError("Your setup doesn't support bf16/gpu."), "faults.no_gpu"),
    (RuntimeError("CUDA error: device-side assert triggered"), "train.accelerator_poisoned"),
    (
        RuntimeError(
            "None of the available devices `available_devices = None` are supported by the bitsandbytes version you"
            " have installed"
        ),
        "faults.quantisation",
    ),
    (
        ImportError("The 'hqq' distribution was not found and is required by this application. \nTry: pip install hqq"),
        "train.library_missing",
    ),
    (
        made(
            "PackageNotFoundError",
            "No package metadata was found for The 'deepspeed>=0.10.0,<=0.18.4' distribution was not found and is"
            " required",
            ImportError,
        ),
        "train.library_missing",
    ),
    (
        ImportError(
            "Using `bitsandbytes` 4-bit quantization requires the latest version of bitsandbytes: `pip install -U"
            " bitsandbytes`"
        ),
        "train.library_missing",
    ),
    (
        ImportError(
            "This modeling file requires the following packages that were not found in your environment: flash_attn."
            " Run `pip install flash_attn`"
        ),
        "train.library_missing",
    ),
    (ModuleNotFoundError("No module named 'galore_torch.x'", name="galore_torch.x"), "train.library_missing"),
    (
        ImportError(
            "FlashAttention2 has been toggled on, but it cannot be used due to the following error: the package"
            " flash_attn seems to be not installed."
        ),
        "train.library_missing",
    ),
    (
        ImportError("trl>=0.8.6,<=0.9.6 is required for a normal functioning of this module, but found trl==0.24.0."),
        "faults.library_version",
    ),
    (
        ValueError(
            "The repository x/y contains custom code which must be executed to correctly load the model. pass the"
            " argument `trust_remote_code=True`"
        ),
        "faults.needs_code",
    ),
    (
        made(
            "GatedRepoError",
            "403 Client Error. Access to model meta-llama/Llama-3.1-8B is restricted and you are not in the authorized"
            " list",
        ),
        "faults.gated",
    ),
    (
        OSError(
            "You are trying to access a gated repo.\nMake sure to have access to it at"
            " https://huggingface.co/meta-llama/Llama-3.1-8B."
        ),
        "faults.gated",
    ),
    (
        OSError(
            "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached"
            " files."
        ),
        "faults.no_network",
    ),
    (made("ConnectError", "[Errno -3] Temporary failure in name resolution"), "faults.no_network"),
    (
        made(
            "OfflineModeIsEnabled", "Cannot reach https://huggingface.co/x: offline mode is enabled.", ConnectionError
        ),
        "faults.no_network",
    ),
    (
        OSError(
            "models/Nowhere is not a local folder and is not a valid model identifier listed on"
            " 'https://huggingface.co/models'"
        ),
        "faults.model_not_found",
    ),
    (
        made(
            "HFValidationError",
            "Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/home/x/gone'.",
            ValueError,
        ),
        "faults.model_not_found",
    ),
    (
        OSError("/m/Tiny does not appear to have a file named pytorch_model.bin or model.safetensors."),
        "faults.model_not_found",
    ),
    (ValueError("Can't find 'adapter_config.json' at '/saves/x'"), "faults.model_not_found"),
    (
        made("SafetensorError", "Error while deserializing header: incomplete metadata, file not fully covered"),
        "faults.weights",
    ),
    (
        RuntimeError("PytorchStreamReader failed reading zip archive: failed finding central directory"),
        "faults.weights",
    ),
    (
        RuntimeError(
            "Some tensors share memory, this will lead to duplicate memory on disk: [{'lm_head.weight',"
            " 'model.embed_tokens.weight'}]"
        ),
        "faults.shared_tensors",
    ),
    (
        RuntimeError(
            "Error(s) in loading state_dict for PeftModelForCausalLM:\n\tsize mismatch for"
            " base_model.model.lm_head.weight"
        ),
        "faults.adapter_misfit",
    ),
    (
        ValueError(
            "Target modules {'query_key_value'} not found in the base model. Please check the target modules and try"
            " again."
        ),
        "faults.targets",
    ),
    (RuntimeError("expected m1 and m2 to have the same dtype, but got: float != c10::BFloat16"), "faults.dtypes"),
    (ValueError("Attempting to unscale FP16 gradients."), "faults.dtypes"),
    (IndexError("index out of range in self"), "faults.token_outside"),
    (
        ValueError(
            "The checkpoint you are trying to load has model type `qwen9` but Transformers does not recognize this"
            " architecture."
        ),
        "faults.architecture",
    ),
    (
        Exception("data did not match any variant of untagged enum ModelWrapper at line 757443 column 3"),
        "faults.tokenizer",
    ),
    (Exception("expected value at line 1 column 1"), "faults.tokenizer"),
    (made("UndefinedError", "'dict object' has no attribute 'x'"), "faults.chat_template"),
    (StopIteration(), "faults.stream_ended"),
    (RuntimeError("Cannot find valid samples, check `data/README.md` for the data format."), "faults.no_rows"),
    (RuntimeError("Cannot find sufficient samples, consider increasing dataset size."), "faults.too_little"),
    (ZeroDivisionError("division by zero"), "faults.zero"),
    (
        made("ArrowInvalid", "JSON parse error: Column(/output) changed from string to number in row 59", ValueError),
        "faults.type_changes",
    ),
    (
        made("ParserError", "Error tokenizing data. C error: Expected 2 fields in line 3, saw 3", ValueError),
        "faults.data_file",
    ),
    (made("DatasetGenerationError", "An error occurred while generating the dataset"), "faults.data_file"),
    (FileNotFoundError(2, "No such file or directory", "/data/picture.png"), "faults.file_gone"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "faults.encoding"),
    (PermissionError(13, "Permission denied", "/x"), "workspace.unwritable"),
    (OSError(28, "No space left on device"), "train.disk_full"),
    (ValueError("Please specify `max_steps` in streaming mode."), "train.refused"),
    (KeyError("labels"), "train.failed"),
    (SystemExit(3), "train.failed"),
    (RuntimeError(""), "train.failed"),
    (
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        "train.out_of_memory",
    ),
    (made("_ArrayMemoryError", "Unable to allocate 3.50 GiB for an array with shape (1, 2)"), "train.out_of_memory"),
]
RECIPE = {"dataset": "my_set", "stage": "sft", "gradient_accumulation_steps": 0, "cutoff_len": 1024}


@pytest.mark.parametrize(("error", "key"), TOLD, ids=[f"{key}-{number}" for number, (_, key) in enumerate(TOLD)])
def test_every_error_is_one_sentence_in_both_languages(error, key):
    for shown in (
        (error, wrapped(error, RuntimeError("something else went wrong")))
        if key
        not in (
            "train.refused",
            "train.failed",
            "faults.zero",
            "faults.no_rows",
            "faults.too_little",
            "faults.stream_ended",
        )
        else (error,)
    ):
        problem = explain(shown, RECIPE)
        assert problem.key == key
        for language, end in (("en", "."), ("zh", "。")):
            told = Words(language).tell(problem)
            assert (
                "{" not in re.sub(r"\[?\{'.*?'\}\]?", "", told)
                and "\n" not in told
                and "Traceback" not in told
                and len(told) < 900
            )
            assert told.rstrip("”")[-1] in (end, ".") and str(None) not in told.split()


def wrapped(inner: BaseException, outer: BaseException) -> BaseException:
    try:
        raise outer from inner
    except type(outer) as error:
        return error


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (TOLD[14][0], {"name": "hqq"}),
        (TOLD[15][0], {"name": "deepspeed"}),
        (TOLD[16][0], {"name": "bitsandbytes"}),
        (TOLD[17][0], {"name": "flash_attn"}),
        (TOLD[18][0], {"name": "galore_torch"}),
        (TOLD[19][0], {"name": "flash_attn"}),
        (ZeroDivisionError("division by zero"), {"field": "gradient_accumulation_steps"}),
        (
            made("ArrowInvalid", "JSON parse error: Column(/output) changed from string to number in row 59"),
            {"column": "output", "row": 60, "file": "my_set"},
        ),
        (RuntimeError("Cannot find valid samples, check"), {"dataset": "my_set", "stage": "sft"}),
        (
            OSError("models/Nowhere is not a local folder and is not a valid model identifier listed"),
            {"name": "models/Nowhere"},
        ),
        (ValueError("Can't find 'adapter_config.json' at '/saves/x'"), {"name": "/saves/x"}),
    ],
)
def test_what_it_was_about_is_named(error, facts):
    found = explain(error, RECIPE)
    assert {name: found.facts.get(name) for name in facts} == facts


def test_a_problem_of_the_studio_is_told_as_it_is():
    inner = Problem("train.no_run", run="a")
    assert explain(wrapped(inner, RuntimeError("x"))) is inner


def test_errors_in_a_circle_end():
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert explain(one).key == "train.refused"
