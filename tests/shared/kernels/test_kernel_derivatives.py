"""Derivatives against finite differences, and under the transforms that stacked models use."""

import pytest
import torch
from torch.func import grad, vmap

from shared.kernels.chunk_loop import chunk_loop
from shared.kernels.chunk_steps import delta_step


def _tuple_call(case, names, **options):
    def call(*tensors):
        return case.run(dict(zip(names, tensors, strict=True)), **options)

    return call


def test_gradient_agrees_with_finite_differences(kernel, backend, kernel_case):
    case = kernel_case(kernel, 3)
    one_row = {name: z[:1] if name in (*case.timed, "initial_state") else z for name, z in case.inputs.items()}
    leaves = tuple(z.clone().requires_grad_() for z in one_row.values())
    options = {"chunk_size": 2} if "chunk_size" in _options(kernel) else {}
    assert torch.autograd.gradcheck(_tuple_call(case, list(one_row), backend=backend, **options), leaves)


def _options(kernel):
    return () if kernel.startswith("diagonal") or kernel == "selective scan" else ("chunk_size",)


@pytest.mark.parametrize("num_steps", [5, 11])  # one chunk, and two
def test_mapped_gradient_equals_the_gradient_of_each_member(kernel, form, num_steps, kernel_case):
    members = [kernel_case(kernel, num_steps, seed=seed) for seed in range(3)]
    names = list(members[0].inputs)

    def loss(*tensors):
        out, state = members[0].run(dict(zip(names, tensors, strict=True)), backend=form)
        return out.abs().square().sum() + state.abs().square().sum()

    positions = tuple(range(len(names)))
    stacked = [torch.stack([member.inputs[name] for member in members]) for name in names]
    together = vmap(grad(loss, positions))(*stacked) if kernel != "diagonal complex" else None
    if together is None:  # torch.func.grad takes real leaves only
        together = vmap(lambda *z: loss(*z))(*stacked)
        each = torch.stack([loss(*member.inputs.values()) for member in members])
        torch.testing.assert_close(together, each, rtol=1e-12, atol=1e-12)
        return
    for position, name in enumerate(names):
        each = torch.stack([grad(loss, position)(*member.inputs.values()) for member in members])
        torch.testing.assert_close(together[position], each, rtol=1e-11, atol=1e-11, msg=name)


def test_mapping_over_one_input_shares_the_others(kernel, form, kernel_case):
    case = kernel_case(kernel, 11)
    names = list(case.inputs)
    first, *rest = case.inputs.values()
    call = _tuple_call(case, names, backend=form)
    found, _ = vmap(call, in_dims=(0, *(None,) * len(rest)))(torch.stack([first, 0.5 * first]), *rest)
    torch.testing.assert_close(found[1], call(0.5 * first, *rest)[0], rtol=1e-12, atol=1e-12)


def test_second_derivative_is_refused_with_the_way_out(kernel, form, kernel_case):
    case = kernel_case(kernel, 11)
    leaves = {name: z.clone().requires_grad_() for name, z in case.inputs.items()}
    out, _ = case.run(leaves, backend=form)
    (first,) = torch.autograd.grad(out.abs().square().sum(), [next(iter(leaves.values()))], create_graph=True)
    with pytest.raises(NotImplementedError, match="backend='reference'"):
        first.abs().sum().backward()


def test_one_chunk_has_the_derivatives_of_the_reference(chunked_kernel, kernel_case):
    case = kernel_case(chunked_kernel, 4)
    found = []
    for form in ("torch", "reference"):
        leaves = [z.clone().requires_grad_() for z in case.inputs.values()]
        out, state = case.run(dict(zip(case.inputs, leaves, strict=True)), backend=form)
        first = torch.autograd.grad(out.sin().sum() + state.square().sum(), leaves, create_graph=True)
        found.append([*first, *torch.autograd.grad(sum(z.cos().sum() for z in first), leaves)])
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("decays", [False, True])
def test_the_delta_rules_step_takes_no_sequences(decays):
    timed = [torch.zeros(0, 5, 2, *size) for size in ((3,), (3,), (4,), (), *[()] * decays)]
    out, state = chunk_loop(delta_step, 64, torch.zeros(0, 2, 3, 4), tuple(timed))
    assert out.shape == (0, 5, 2, 4) and state.shape == (0, 2, 3, 4)


@pytest.mark.parametrize("num_steps", [1, 5, 11])  # one chunk, and two
def test_a_sequence_is_summed_in_its_own_precision_under_autocast(chunked_kernel, num_steps, kernel_case):
    case = kernel_case(chunked_kernel, num_steps, torch.float32)
    found = []
    for enabled in (False, True):
        leaves = {name: z.clone().requires_grad_() for name, z in case.inputs.items()}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):  # as in training, around the forward pass
            results = case.run(leaves, backend="torch")
        loss = sum(z.square().sum() for z in results)
        found.append([*results, *torch.autograd.grad(loss, list(leaves.values()))])
    for exact, under_autocast in zip(*found, strict=True):
        assert torch.equal(exact, under_autocast)
