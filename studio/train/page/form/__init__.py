"""The form of a new run on the page: its fields, what is told beside them, and how it becomes a recipe."""
