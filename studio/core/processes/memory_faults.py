"""What torch, and the libraries under it, say where a device or the machine has no memory left."""

import re

# Each is searched for in `ClassName: message` of an error.
PATTERNS = (
    r"^OutOfMemoryError",
    r"^MemoryError",
    r"^(\w+\.)*_ArrayMemoryError",
    r"^ArrowMemoryError",
    r"(CUDA|HIP|MPS|XPU|NPU|HPU|MLU)( backend)? out of memory",
    r"CUDA error: out of memory",
    r"DefaultCPUAllocator: (not enough memory|can't allocate)",
    # What cuBLAS and cuDNN ask of a card beside torch's tensors; they say so where theirs is what did not fit.
    r"CUBLAS_STATUS_ALLOC_FAILED",
    r"CUBLAS_STATUS_NOT_INITIALIZED.{0,40}cublasCreate",
    r"CUDNN_STATUS_(INTERNAL_ERROR_DEVICE_)?ALLOC(ATION)?_FAILED",
    r"Cannot allocate memory",
    r"std::bad_alloc",
    r"unable to mmap",
    r"not enough memory: you tried",
)
_ANY = re.compile("|".join(PATTERNS), re.DOTALL)


def says_so(text: str) -> bool:
    """Tell whether `ClassName: message` of an error says that the memory was not enough."""
    return bool(_ANY.search(text))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or one that it came from, says that the memory was not enough."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError) or says_so(f"{type(error).__name__}: {error}"):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
