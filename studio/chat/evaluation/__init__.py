"""What the answers say of the models: who wins, pairs to train on, which prompt each got, whether one works."""
