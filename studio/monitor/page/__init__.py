"""What the page shows of the machine, and what a script can ask of it."""
