"""The models on disk: which there are, what their files say, and what can be done with them."""
