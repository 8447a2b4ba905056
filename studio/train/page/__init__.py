"""What the page shows of training: runs, the form of a new one; and what a script can ask of it."""
