"""The chat template of training beside a model, one file for each engine."""

from pathlib import Path

from studio.core.storage.atomic import write_whole
from studio.export.templates.lmdeploy import lmdeploy_template
from studio.export.templates.ollama import begins_with_bos, ollama_modelfile
from studio.export.templates.slots import SpecialTokens

FILES = {"jinja": "chat_template.jinja", "ollama": "Modelfile", "lmdeploy": "lmdeploy.json"}
HERE = "."  # both engines are started in the model's folder, which may be moved, or sent to a hub


def write_forms(folder: Path, template, tokens: SpecialTokens) -> None:
    """Write the Modelfile and LMDeploy's JSON into a model's folder; the Jinja stands there with the tokenizer.

    Args:
        folder: of the model; weights as safetensors.
        template: LLaMA-Factory's, of the run.
        tokens: of the tokenizer as training left it.

    Raises:
        Problem: the disk refuses.
        ValueError: a text of the template cannot stand in a Modelfile.
    """
    adds_bos = begins_with_bos(template, tokens)
    modelfile = ollama_modelfile(template, tokens, HERE, adds_bos=adds_bos)
    write_whole(folder / FILES["ollama"], modelfile.text, beyond="replace")
    lmdeploy = lmdeploy_template(template, tokens, HERE, adds_bos)
    write_whole(folder / FILES["lmdeploy"], lmdeploy.text(), beyond="replace")
