"""Encoders of prompts, kept while the files of their tokenizers stay as they are: loading one takes seconds."""

from studio.core.storage.file_cache import FileCache
from studio.inference.local.base_loading import encoder_of
from studio.inference.local.model_target import ModelTarget
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.models.library import tokenizer_files

_encoders: FileCache[PromptEncoder] = FileCache(8)


def prompt_encoder(target: ModelTarget) -> PromptEncoder:
    """Return the encoder of a target's prompts. Raises Problem as `encoder_of` does."""
    base = target.base
    return _encoders.get((base, target), tokenizer_files.files_of(base.folder), lambda: encoder_of(base, target))
