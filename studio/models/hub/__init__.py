"""Models that are not here yet: the table of LLaMA-Factory, the hubs, and downloads."""
