"""Tab 4: how good a model is: its answers scored, benchmarks, base against tuned."""
