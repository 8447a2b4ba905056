"""What the page shows of the trash, and what a script can ask of it."""
