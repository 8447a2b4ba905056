"""Tab 5: a model as a file that an engine takes, and the proof that it is the same model with the same prompt."""
