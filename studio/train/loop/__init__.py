"""Training itself, in whichever process an executor does it: LLaMA-Factory is called (run_training.py), and its
callback (callback.py) writes down what happens.
"""
