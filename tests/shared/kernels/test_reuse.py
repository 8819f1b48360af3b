"""Memory of large results: used again when nobody sees it any more, and not before."""

import gc
import os
import warnings

import pytest
import torch

from shared.kernels import reuse


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(reuse, "SMALLEST", 4096)
    monkeypatch.setattr(reuse, "LARGEST", 20000)
    monkeypatch.setattr(reuse, "_waiting", [])


def test_memory_comes_back_with_the_last_view():
    first = reuse.empty((2, 1024), torch.float32)
    address, view = first.data_ptr(), first[1]
    view.fill_(3)
    del first
    other = reuse.empty((2048,), torch.float32)
    assert other.data_ptr() != address and not reuse._waiting
    other.zero_()
    assert (view == 3).all()
    del view
    gc.collect()
    assert len(reuse._waiting) == 1
    assert reuse.empty((1024,), torch.float64).data_ptr() == address  # 8192 bytes again


def test_a_saved_tensor_keeps_its_memory():
    x = torch.ones(2048, requires_grad=True)
    factor = reuse.empty((2048,), torch.float32).fill_(2)
    y = (x * factor).sum()
    del factor
    reuse.empty((2048,), torch.float32).fill_(5)
    y.backward()
    assert (x.grad == 2).all()


def test_what_waits_is_bounded_and_the_oldest_goes():
    tensors = [reuse.empty((size,), torch.uint8) for size in (8000, 9000, 10000)]
    while tensors:
        del tensors[0]
    gc.collect()
    assert [len(block) for block in reuse._waiting] == [9000, 10000]


def test_small_and_other_sizes_are_not_taken():
    reuse.empty((8192,), torch.uint8)
    gc.collect()
    assert reuse.empty((100,), torch.float32).shape == (100,) and len(reuse._waiting) == 1
    assert reuse.empty((8193,), torch.uint8).numel() == 8193 and len(reuse._waiting) == 1


def test_a_forked_process_has_its_own_memory():
    tensor = reuse.empty((8192,), torch.uint8).fill_(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 3.12: threads are not forked
        child = os.fork()
    if child == 0:
        tensor.fill_(2)
        os._exit(0)
    os.waitpid(child, 0)
    assert (tensor == 1).all()
