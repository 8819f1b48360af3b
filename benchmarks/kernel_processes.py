"""Kernel measurements that need a process of their own: peak memory of training, the first call."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable

import psutil
import torch

from benchmarks.kernel_cases import CASES, loss_and_gradients


def training_memory(name: str, form: str, num_steps: int) -> float:
    """Bytes that one forward and backward pass adds to the resident memory of this process at its peak.

    A first pass over 64 steps comes before, so that what torch sets up once is not counted.
    """
    torch.set_num_threads(1)
    case = CASES[name]
    call = case.forms[form].load()
    loss_and_gradients(call, [z.requires_grad_() for z in case.inputs(64)], {})
    leaves = [z.requires_grad_() for z in case.inputs(num_steps)]
    before = psutil.Process().memory_info().rss
    loss_and_gradients(call, leaves, {})
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


@torch.no_grad()
def first_calls(name: str, form: str, num_steps: int) -> tuple[float, float]:
    """CPU seconds of the first and the third forward call at a length, in a process that has seen 64 steps only.

    Each result is dropped before the next call, as in a model that keeps none.
    """
    torch.set_num_threads(1)
    case = CASES[name]
    call = case.forms[form].load()
    call(*case.inputs(64))
    inputs, taken = case.inputs(num_steps), []
    for _ in range(3):
        started = time.process_time()
        call(*inputs)
        taken.append(time.process_time() - started)
    return taken[0], taken[2]


def _answer(pipe, job: Callable, arguments: tuple) -> None:
    pipe.send(job(*arguments))


def alone(job: Callable, *arguments: object) -> object | None:
    """What `job` returns in a process of its own; None if that ends without an answer."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, job, arguments))
    process.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        return None
    finally:
        process.join()


def print_memory(name: str, steps: list[int]) -> None:
    """One markdown row per form: megabytes at each length."""
    for form, peer in CASES[name].forms.items():
        cells = []
        for num_steps in steps:
            found = alone(training_memory, name, form, num_steps) if num_steps <= peer.longest_backward else None
            cells.append("-" if found is None else f"{found / 1e6:.0f}")
        print("| " + " | ".join([name, form, *cells]) + " |", flush=True)


def print_first_calls(name: str, num_steps: int, peers: Iterable[str] | None) -> None:
    """One markdown row per form: milliseconds of the first and the third call."""
    for form in CASES[name].forms if peers is None else ("ours", *peers):
        found = alone(first_calls, name, form, num_steps)
        cells = ["-", "-"] if found is None else [f"{1000 * seconds:.0f}" for seconds in found]
        print("| " + " | ".join([name, str(num_steps), form, *cells]) + " |", flush=True)
