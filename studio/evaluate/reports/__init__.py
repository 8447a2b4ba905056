"""What an evaluation came to: its rows as a table, its scores in sum, files to take away, data to train on."""
