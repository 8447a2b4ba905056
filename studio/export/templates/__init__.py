"""A run's chat template in the form that each engine wants, compared with what training encoded."""
