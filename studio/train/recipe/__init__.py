"""Recipes: LLaMA-Factory's own arguments, from what a person says to what can be trained.

| what | where |
|---|---|
| a recipe filled up to a whole one, and its defaults | recipes.py |
| what is wrong with one, before anything trains | validation/ |
| those that people bring: YAML, commands, LlamaBoard | importing/ |
| those kept under a name, and sweeps over several | saved_recipes.py, sweep.py |
| what it will take, and what a person of the field would ask | memory_need.py, disk_need.py, advice.py |
"""
