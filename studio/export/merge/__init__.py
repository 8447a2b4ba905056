"""Adapters merged into their base by LLaMA-Factory, and the proof that the result is the same model."""
