"""Sets of questions as they lie in files and folders: which file holds what, and what is wrong in it."""
