"""LLaMA-Factory's chat templates, each caller with one of its own.

Its templates are objects of the process that a recipe changes in place (`default_system`, `enable_thinking`,
`tool_format`): in the one module, a run that trains now would change what is shown of the data, and showing it would
change the run.
"""

import copy
import threading
from pathlib import Path

from studio.models.chat_template_match.template_match import module, own_prompts, shipped

_taking = threading.Lock()


def own_template(tokenizer, arguments):
    """Return the template that LLaMA-Factory makes of its data arguments, in a copy that nobody else holds.

    Args:
        tokenizer: as LLaMA-Factory's `load_tokenizer` gives it; its end and stop tokens are set in place, as in a
            training run.
        arguments: LLaMA-Factory's `DataArguments`; no `template` reads the tokenizer's own chat template.

    Raises:
        Problem: the model's own chat template reached a limit.
        ValueError: there is no such template, or it cannot be had with these arguments.
    """
    if not arguments.template and getattr(tokenizer, "name_or_path", ""):
        own_prompts(Path(tokenizer.name_or_path))  # LLaMA-Factory renders the model's own here, which may take for ever
    with _taking:
        source, templates = module(), shipped()
        if arguments.template in templates:
            source.TEMPLATES[arguments.template] = copy.deepcopy(templates[arguments.template])
        return source.get_template_and_fix_tokenizer(tokenizer, arguments)
