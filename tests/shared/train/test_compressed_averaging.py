"""N processes with the hook take the steps that the in-process simulation of N clients takes."""

import subprocess
import sys

import pytest
import torch
from compressed_clients import COMPRESSORS, LR, NOISE, NUM_STEPS, loss, tiny_model
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from shared.optim.distributed import DistributedMethod
from shared.optim.draws import client_draws
from shared.train.compressed import client_accelerator, prepare_client


def simulated(name, num_clients):
    """u of every step, from `num_clients` clients in this process."""
    model = tiny_model()
    method = DistributedMethod(LR, num_clients, NOISE, COMPRESSORS[name])
    draws, updates = client_draws(7, num_clients, "clients"), []
    for _ in range(NUM_STEPS):
        grads = torch.autograd.grad(loss(model), list(model.parameters()))
        u = method.message_mean(parameters_to_vector(grads), draws)
        updates.append(u)
        vector_to_parameters(parameters_to_vector(model.parameters()).detach() - LR * u, model.parameters())
    return torch.stack(updates)


def test_two_processes_equal_the_simulation_of_two_clients(tmp_path, environment):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "compressed_clients", str(tmp_path), *COMPRESSORS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    found = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2)]
    for name in COMPRESSORS:
        assert found[0][name].equal(found[1][name]), name
        # float64; only the order of two additions may differ, and six steps amplify it little
        assert found[0][name].allclose(simulated(name, 2), rtol=1e-10, atol=1e-13), name
    assert not found[0]["sign"].allclose(simulated("identity", 2), rtol=1e-3)


def test_one_process_is_told_to_start_more():
    accelerator = client_accelerator()
    with pytest.raises(ValueError, match=r"needs two or more processes and one joined; start the step with"):
        prepare_client(tiny_model(), accelerator, NOISE, COMPRESSORS["identity"], 7)
