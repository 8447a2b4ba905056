"""Reward models and PPO policies whose output shares its weights with the input: safetensors refuses to write one
tensor under two names.

A model of transformers leaves the second name out when it saves itself, but one with a value head is a wrapper of
trl's, whose state the trainer writes as it stands. LLaMA-Factory compares the tensors by their identity, which every
look at the state makes anew.
"""

from typing import Any


def save_once(model: Any) -> None:
    """Let the state of a model with a value head hold each shared tensor once, by the name that loading ties the others
    to.
    """
    inner = getattr(model, "pretrained_model", None)
    if inner is None or not hasattr(model, "v_head") or not hasattr(inner, "get_input_embeddings"):
        return
    whole = model.state_dict

    def state_dict(*args, **kwargs):
        """Return {name: tensor} of the model, of tensors that share their memory only one."""
        state = whole(*args, **kwargs)
        embedding = getattr(inner.get_input_embeddings(), "weight", None)
        source = None if embedding is None else _place(embedding)
        names: dict[tuple, list[str]] = {}
        for name, tensor in state.items():
            if (place := _place(tensor)) is not None:
                names.setdefault(place, []).append(name)
        for place, same in names.items():
            own_name = (
                next((name for name in same if "embed" in name or "wte" in name), min(same))
                if place == source
                else min(same)
            )
            for name in same:
                if name != own_name:
                    del state[name]
        return state

    model.state_dict = state_dict


def _place(tensor: Any) -> tuple | None:
    """Return what is the same for tensors that share their memory, None for what has none."""
    if not hasattr(tensor, "data_ptr") or tensor.numel() == 0 or tensor.is_meta:
        return None
    return tensor.device, tensor.data_ptr(), tuple(tensor.shape)
