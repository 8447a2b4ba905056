"""Multiple-choice benchmarks, asked and scored as LLaMA-Factory's evaluator does, and tasks of lm-eval."""
