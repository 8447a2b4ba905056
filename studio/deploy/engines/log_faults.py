"""What the libraries under several engines print when something is wrong."""

from studio.deploy.engines.engine import Sign

PORT_TAKEN = Sign(
    r"\[Errno (?:98|48|10048)\]|address already in use|couldn't bind HTTP server socket",
    "deploy.fault_port",
    lambda match: {"port": 0},
)
DISK_FULL = Sign(r"No space left on device", "deploy.fault_disk")
TORCH = (
    Sign(
        r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|cudaMalloc failed: out of memory", "deploy.fault_memory"
    ),
    Sign(r"DefaultCPUAllocator: can't allocate memory|MemoryError|std::bad_alloc", "deploy.fault_ram"),
    Sign(
        r"invalid device ordinal|no CUDA-capable device|CUDA_VISIBLE_DEVICES.*(?:invalid|out of range)",
        "deploy.fault_device",
        lambda match: {"devices": []},
    ),
    Sign(
        r"does not recognize this architecture|Model architectures? \[?(?P<name>[^\]\n]*)\]? (?:is|are) not supported"
        r"|unknown model architecture: '(?P<other>[^']*)'",
        "deploy.fault_architecture",
    ),
    Sign(
        r"gated repo|401 Client Error|is not a local folder and is not a valid model identifier"
        r"|Cannot find (?:the requested files|an appropriate cached snapshot)|outgoing traffic has been disabled",
        "deploy.fault_offline",
    ),
    Sign(r"'list' object has no attribute 'keys'", "deploy.fault_old_tokenizer"),
    DISK_FULL,
)
# The last of all: what Python itself says at the end of a traceback.
LAST_WORDS = Sign(r"^(?P<reason>(?:\w+\.)*\w*(?:Error|Exception): [^\n]+)\s*\Z", "deploy.fault_said")
