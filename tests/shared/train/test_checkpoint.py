"""Weights and trees in safetensors files."""

import os

import pytest
import torch
from torch import nn

from shared.train.checkpoint import DamagedFile, load_tree, load_weights, save_tree, save_weights


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_tree_keeps_types_and_bits(dtype, tmp_path):
    tensor = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    tree = {"a": tensor, "b": {0: (1, 2.5, None), "c": [True, "x", {"scalar": tensor[0, 0], "empty": tensor[:0]}]}}
    again = load_tree(save_tree(tree, tmp_path / "sub" / "tree.safetensors"))
    assert torch.equal(again["a"], tensor) and again["a"].dtype == dtype
    assert again["b"][0] == (1, 2.5, None)
    assert again["b"]["c"][:2] == [True, "x"]
    assert torch.equal(again["b"]["c"][2]["scalar"], tensor[0, 0])
    assert again["b"]["c"][2]["empty"].shape == (0, 4)


def test_floats_keep_their_last_bit(tmp_path):
    values = [0.1 + 0.2, 1e-310, float("inf"), -0.0]
    assert repr(load_tree(save_tree({"v": values}, tmp_path / "f"))["v"]) == repr(values)


def test_tied_and_transposed_weights_survive(tmp_path):
    def make():
        model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
        model["head"].weight = model["embed"].weight
        return model

    first, second = make(), make()
    load_weights(second, save_weights(first, tmp_path / "w.safetensors"))
    assert torch.equal(first["embed"].weight, second["embed"].weight)
    assert second["head"].weight is second["embed"].weight


def test_a_truncated_weight_file_is_one_sentence(tmp_path):
    path = save_weights(nn.Linear(20, 20), tmp_path / "w.safetensors")
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DamagedFile, match=f"{path} is truncated or damaged .*; delete it and run again"):
        load_weights(nn.Linear(20, 20), path)


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    path = save_weights(nn.Linear(2, 3), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"2 of its tensors differ: bias .*weight \(model \(4, 2\), file \(3, 2\)\)"):
        load_weights(nn.Linear(2, 4), path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere"):
        load_weights(nn.Linear(2, 2), tmp_path / "nowhere")


def test_a_failed_write_leaves_the_former_file_and_no_litter(tmp_path, monkeypatch):
    path = save_weights(nn.Linear(2, 2), tmp_path / "w.safetensors")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_weights(nn.Linear(2, 2), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w.safetensors"]


def test_a_checkpoint_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="optimizer/0/x is a function"):
        save_tree({"optimizer": {0: {"x": lambda: 0}}}, tmp_path / "t")
