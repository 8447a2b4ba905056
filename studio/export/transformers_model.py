"""A model in memory as transformers loads it, with what `native.GgufModel` does: logits at some places, and an answer.

For processes of their own only: what it takes is given back at their end.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from studio.core import llamafactory
from studio.export.quantize import gptq_libraries
from studio.inference.llama_cpp.native import Generated


class TransformersModel:
    """A model in memory. Raises whatever transformers raises.

    Args:
        folder: of the model.
        dtype: of the computation, "float32" or "bfloat16".
        by_gptq: its weights are read by GPTQ's own libraries.
        threads: of the computation on a CPU.
    """

    def __init__(self, folder: Path, dtype: str, by_gptq: bool, threads: int, trust_remote_code: bool = False):
        if by_gptq:
            gptq_libraries.prepare()
        else:
            llamafactory.load()
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(threads)
        # It would make a plan for each token of an answer, which no other has the length of (see `attention`).
        torch.backends.cuda.enable_cudnn_sdp(False)
        place = "cuda:0" if torch.cuda.is_available() else "cpu"
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), device_map=place, trust_remote_code=trust_remote_code
        ).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        ends = self._model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])

    def logits(self, ids: list[int], positions: list[int]) -> Iterator[np.ndarray]:
        """Yield the logits after each of some positions of a sequence, [vocabulary] in float32."""
        import torch

        with torch.inference_mode():
            found = self._model(torch.tensor([ids], device=self._model.device), use_cache=False).logits[0]
            for position in positions:
                yield found[position].float().cpu().numpy()

    def generate(self, ids: list[int], tokens: int, to_the_end: bool = False) -> Generated:
        """Return the greedy answer to a prompt, as `GgufModel.generate` does.

        Raises:
            ArithmeticError: the logits are no numbers.
        """
        import torch

        answer, began = [], 0.0
        with torch.inference_mode():
            found = self._model(torch.tensor([ids], device=self._model.device), use_cache=True)
            while len(answer) < tokens:
                row = found.logits[0, -1]
                if not torch.isfinite(row).all():
                    raise ArithmeticError("logits are not finite")
                token = int(row.argmax())
                if not to_the_end and token in self._ends:
                    break
                answer.append(token)
                began = began or time.perf_counter()
                step = torch.tensor([[token]], device=self._model.device)
                found = self._model(step, past_key_values=found.past_key_values, use_cache=True)
        seconds = time.perf_counter() - began if began else 0.0
        return Generated(answer, self._tokenizer.decode(answer), len(answer) / seconds if seconds else 0.0)
