"""Adapters as files: one folder each, in the form that the library `peft` writes and reads.

adapter_config.json          rank, alpha, targets
adapter_model.safetensors    base_model.model.<path>.lora_A.weight (r, in) and .lora_B.weight (out, r)
"""

import json
import os
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from shared.base.files import write_bytes, write_json
from shared.models.lora.adapters import adapter_parameters, add_adapter, layers
from shared.models.lora.config import LoraConfig

_PREFIX = "base_model.model."


def save_adapter(model: nn.Module, name: str, config: LoraConfig, folder: str | os.PathLike) -> Path:
    """Write one adapter; `config` is the one that it was added with."""
    adapter_parameters(model, name)  # refuses an unknown name
    tensors = {}
    for path, layer in layers(model).items():
        if name in layer.lora_a:
            tensors[f"{_PREFIX}{path}.lora_A.weight"] = layer.lora_a[name].detach().cpu().contiguous()
            tensors[f"{_PREFIX}{path}.lora_B.weight"] = layer.lora_b[name].detach().cpu().contiguous()
    described = {
        "peft_type": "LORA",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "target_modules": list(config.targets),
        "lora_dropout": 0.0,
        "bias": "none",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
    }
    folder = Path(folder)
    write_bytes(folder / "adapter_model.safetensors", save(tensors))
    write_json(folder / "adapter_config.json", described)
    return folder


def load_adapter(model: nn.Module, name: str, folder: str | os.PathLike) -> LoraConfig:
    """Add the adapter of a folder to `model` under `name`.

    Raises:
        ValueError: the file is another kind of adapter, or its maps are not those of the model.
    """
    folder = Path(folder)
    described = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    kind = described.get("peft_type")
    if kind != "LORA" or described.get("use_dora") or described.get("use_rslora") or described.get("rank_pattern"):
        raise ValueError(f"{folder} holds {kind} with options of its own; plain LoRA is read here")
    targets = described["target_modules"]
    targets = (targets,) if isinstance(targets, str) else tuple(sorted(targets))
    config = LoraConfig(rank=described["r"], alpha=described["lora_alpha"], targets=targets)
    tensors = load_file(folder / "adapter_model.safetensors")
    add_adapter(model, name, config)
    wanted = {}
    for path, layer in layers(model).items():
        if name in layer.lora_a:
            wanted[f"{_PREFIX}{path}.lora_A.weight"] = layer.lora_a[name]
            wanted[f"{_PREFIX}{path}.lora_B.weight"] = layer.lora_b[name]
    if wanted.keys() != tensors.keys():
        raise ValueError(f"{folder} has other maps than the model, e.g. {min(wanted.keys() ^ tensors.keys())}")
    for key, parameter in wanted.items():
        if parameter.shape != tensors[key].shape:
            raise ValueError(f"{key} is {tuple(tensors[key].shape)} in {folder}, {tuple(parameter.shape)} in the model")
        parameter.data.copy_(tensors[key])
    return config
