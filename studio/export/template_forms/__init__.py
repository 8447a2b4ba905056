"""The forms of a template for whoever asks: made with a tokenizer in a child process, and compared with training."""
