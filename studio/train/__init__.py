"""Tab 3: runs, recipes, their execution, the training loop itself, and the page."""
