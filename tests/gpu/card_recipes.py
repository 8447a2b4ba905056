"""The recipe that the tests on a card train."""

NOISE = "A-Model-of-Noise"
# A run of a few steps on rows of noise that fill the cutoff.
FEW_STEPS = {
    "model_name_or_path": NOISE,
    "template": "chatml",
    "dataset": "noise",
    "max_steps": 3,
    "cutoff_len": 256,
    "per_device_train_batch_size": 4,
    "save_strategy": "no",
    "plot_loss": False,
}
