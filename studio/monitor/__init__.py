"""The nvitop-like strip: GPUs and their processes, CPU, memory and disk, read once a second while somebody looks."""
