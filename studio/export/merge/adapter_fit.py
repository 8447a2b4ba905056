"""Whether an adapter was made for the base that it is to be merged into: looked at in the headers of both, before
anything is loaded. peft leaves out what finds no place, and says so in its log alone.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.inference.local.model_target import weight_files
from studio.models.library import library, model_config
from studio.models.weights import tensor_headers, weights_stamp
from studio.train.runs import Run

_LORA = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
_LAYER = re.compile(r"\.(\d+)\.")
Shapes = Mapping[str, list[int]]  # of tensors by their names


class AdapterLayers(Record):
    """What an adapter's description says of the layers that it changes."""

    layers_to_transform: object = None
    target_modules: object = None
    exclude_modules: object = None
    fan_in_fan_out: bool = False

    @property
    def is_of_some_layers(self) -> bool:
        """Whether it may leave layers out: it names them, or tells its modules by a pattern."""
        named = self.target_modules if isinstance(self.target_modules, list) else ["0"]
        numbered = any(re.search(r"\d", str(one)) for one in named)
        return numbered or self.layers_to_transform is not None or bool(self.exclude_modules)


def require_same_base(run: Run, model: Path) -> None:
    """Raise Problem where the weights of a run's base are not those that it was started on. A run of which no stamp was
    kept passes.
    """
    if weights_stamp.differs(model, run.info().base_stamp):
        raise Problem("merge.base_changed", run=run.name, model=library.title(model))


def require_fit(adapter: Path, name: str, model: Path) -> None:
    """Raise Problem where an adapter has other layers or other widths than the base has.

    Args:
        adapter: its folder. name: as it was chosen.
        model: the base's folder.
    """
    changed, base = _shapes(weight_files(adapter)), _shapes(weight_files(model))
    found = {key: match for key in changed if (match := _LORA.fullmatch(key))}
    facts = {"adapter": name, "model": library.title(model)}
    settings = records.load(adapter / "adapter_config.json", AdapterLayers)
    _require_layers({match["module"] for match in found.values()}, base, settings, _layers(model), facts)
    for key, match in found.items():
        width = base.get(f"{match['module']}.weight", ())
        if len(width) != 2 or len(changed[key]) != 2:
            continue
        rows, columns = reversed(width) if settings.fan_in_fan_out else width
        has, wanted = (changed[key][1], columns) if match["half"] == "A" else (changed[key][0], rows)
        if has != wanted:
            raise Problem("merge.adapter_other_width", layer=match["module"], has=has, wanted=wanted, **facts)


def _require_layers(
    modules: set[str], base: Shapes, settings: AdapterLayers, layers: int | None, facts: dict[str, str]
) -> None:
    """Raise Problem where a module is in one layer of the base and not in that of the adapter, or the other way round.

    A module that the files of the base call otherwise in all layers is passed over: transformers gives many parts other
    names than their files.
    """
    of_base = {key.removesuffix(".weight") for key in base if key.endswith(".weight")}
    kinds = {_kind(module) for module in of_base}
    if missing := sorted(one for one in modules - of_base if _LAYER.search(one) and _kind(one) in kinds):
        raise Problem("merge.adapter_other_layers", layer=missing[0], **facts)
    if settings.is_of_some_layers or layers is None:
        return
    changed = {_kind(module) for module in modules & of_base}
    for module in sorted(of_base - modules):
        number = _LAYER.search(module)
        # Layers beyond the number of the config are not loaded: they guess further tokens ahead.
        if number and int(number[1]) < layers and _kind(module) in changed:
            raise Problem("merge.adapter_fewer_layers", layer=module, **facts)


def _kind(module: str) -> str:
    """Return the name of a module in any layer."""
    return _LAYER.sub(".#.", module, count=1)


def _layers(model: Path) -> int | None:
    """Return how many layers a base has, None where its config does not say."""
    config = model_config.read(model)[0]
    inner = config.get("text_config")
    found = (inner if isinstance(inner, dict) else config).get("num_hidden_layers")
    return found if type(found) is int else None


def _shapes(paths: list[Path]) -> Shapes:
    """Return the shapes of the tensors in safetensors files; none of other files."""
    chosen = [path for path in paths if path.suffix == ".safetensors" and files.is_file(path)]
    return {name: one["shape"] for path in chosen for name, one in tensor_headers.read_shard(path).tensors.items()}
