"""What the studio promises about speed and memory, measured; against LLaMA-Factory's own commands in interleaved runs
on one machine.

One file a benchmark: its docstring says what is measured, `RUNS` how often unless told otherwise, and `measure(runs,
quick)` returns the rows of the table. A new one is such a file and nothing else.
"""
