"""Which of the templates of LLaMA-Factory belongs to a model, and whether it agrees with its chat template."""
