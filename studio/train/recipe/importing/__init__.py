"""Recipes that people bring: YAML and JSON of LLaMA-Factory, LlamaBoard's configurations, and command lines of any
shell and launcher.

`recipe_reading.read(text)` is the one reader. What it takes, what it leaves out and why stands in `result.Imported`;
`missing_parts.missing` tells what of it this studio does not have; `purpose` tells what a recipe is for, if not
for training.
"""
