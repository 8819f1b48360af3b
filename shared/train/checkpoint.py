"""Checkpoints and weights as single safetensors files, written atomically and checked when read.

A checkpoint is a tree of dicts, lists, tuples, tensors and plain values. The tensors go into the body of the file, the
rest and a checksum of the tensors into its header, so that nothing is ever unpickled. A file appears under its name
only when it is complete; the checkpoint before it stays until then, and one more is kept to fall back on.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from shared.base.files import atomic_path
from shared.base.spent import Spent, spent_on, take_up

_FORMAT = "training checkpoint 1"
_SPENT = "spent"  # in the tree of a checkpoint: what the run has cost up to there
_NAME = re.compile(r"step-(\d{9})\.safetensors")


class DamagedFile(ValueError):
    """A safetensors file that is truncated or altered, or holds something else."""


def save_weights(model: nn.Module, path: str | os.PathLike) -> Path:
    """Write the parameters and buffers of `model` to `path`, atomically; parents are made."""
    return save_tree({"model": model.state_dict()}, path)


def load_weights(model: nn.Module, path: str | os.PathLike) -> None:
    """Copy the weights in `path` into `model`, in place.

    The file may come from `save_weights` or be a checkpoint of a run.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: the file is truncated or altered.
        ValueError: the weights are those of another architecture; the names or shapes that differ are listed.
    """
    load_state(model, load_tree(path)["model"], path)


def load_state(model: nn.Module, state: dict[str, Tensor], path: str | os.PathLike) -> None:
    """Copy `state`, which came from `path`, into `model`; `ValueError` names tensors that do not fit."""
    own = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in state.items()}
    if own != found:
        names = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
        listed = ", ".join(f"{n} (model {own.get(n)}, file {found.get(n)})" for n in names[:5])
        raise ValueError(
            f"{path} holds the weights of another architecture; {len(names)} of its tensors differ: {listed}"
            f"{' ...' if len(names) > 5 else ''}; build the model with the settings it was trained with"
        )
    model.load_state_dict(state)


def save_tree(tree: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a tree of tensors and JSON values to `path` under a temporary name, then rename.

    Raises:
        ValueError: a leaf is neither a tensor nor a number, string, boolean or None.
    """
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    structure = _pack(tree, "", tensors)
    # one entry: safetensors writes several in an order that changes from process to process
    header = {_FORMAT: json.dumps({"tree": structure, "checksum": _checksum(tensors)})}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=header)
    return path


def load_tree(path: str | os.PathLike) -> dict[str, Any]:
    """The tree that `save_tree` wrote, its tensors on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFile: the file is truncated or altered, or was not written by `save_tree`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; train the model first or name another file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{path} is truncated or damaged ({error}); delete it and run again") from error
    if _FORMAT not in header:
        raise DamagedFile(f"{path} is a safetensors file of another kind; name one that a training wrote")
    header = json.loads(header[_FORMAT])
    if header["checksum"] != _checksum(tensors):
        raise DamagedFile(f"{path} is damaged (its tensors do not have the recorded checksum); delete it and run again")
    return _unpack(header["tree"], tensors)


@contextlib.contextmanager
def sole_user(directory: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process is in here for `directory`, which is made if missing.

    A build that was killed may leave a training behind that still runs; the next one waits for it and then continues
    from its checkpoint. The kernel frees the lock when its holder ends, however it ends.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems lock no folders
            warnings.warn(f"{directory} cannot be locked ({error}); start no second run there", stacklevel=2)
        yield
    finally:
        os.close(descriptor)


def run_folder(parent: str | os.PathLike, name: str, settings: dict[str, Any]) -> Path:
    """Folder for the checkpoints of a run under these settings, `parent/name-<digest>`.

    A run with other settings gets another folder: a workflow that reruns a job after an edit starts anew, and finds
    the old run again if the edit is taken back.

    Args:
        settings: all that defines the run, JSON values.
    """
    text = json.dumps(settings, sort_keys=True)
    return Path(parent) / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def write_checkpoint(directory: Path, step: int, tree: dict[str, Any], *, keep: int = 2) -> Path:
    """Write `step-<step>.safetensors` and what the run has cost, then remove all but the newest `keep` checkpoints."""
    account = {_SPENT: asdict(spent_on(directory))}
    path = save_tree(tree | account, directory / f"step-{step:09d}.safetensors")
    for old in _checkpoints(directory)[keep:]:
        old.unlink(missing_ok=True)
    for abandoned in directory.glob(".step-*.safetensors"):  # of a run that was killed while writing
        abandoned.unlink(missing_ok=True)
    return path


def read_checkpoint(directory: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest complete checkpoint in `directory` and its file, or None where there is none yet.

    A damaged newest checkpoint gives the one before it and a warning that names both.

    Raises:
        DamagedFile: there are checkpoints, but none can be read.
    """
    damage: list[str] = []
    for path in _checkpoints(directory):
        try:
            tree = load_tree(path)
        except DamagedFile as error:
            damage.append(str(error))
            continue
        if damage:
            warnings.warn(f"{damage[0]}; this run continues from {path} instead", stacklevel=2)
        take_up(directory, Spent(**tree.pop(_SPENT, {})))
        return path, tree
    if damage:
        raise DamagedFile("; ".join(damage))
    take_up(directory, Spent())
    return None


def _checkpoints(directory: Path) -> list[Path]:
    """Checkpoint files, newest first."""
    return sorted((p for p in directory.glob("step-*.safetensors") if _NAME.fullmatch(p.name)), reverse=True)


def _pack(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """JSON form of `value`; its tensors move to `tensors` under names that spell their place in the tree."""
    if isinstance(value, Tensor):
        name = where.lstrip("/")
        assert name not in tensors, f"two tensors at {name}"
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # own memory: tied weights share theirs
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, f"{where}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{where}/{i}", tensors) for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{where.lstrip('/')} is a {type(value).__name__}, which a checkpoint cannot hold;"
        " keep tensors, numbers and strings in the state of models and optimisers"
    )


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _checksum(tensors: dict[str, Tensor]) -> int:
    """CRC-32 over names and contents; safetensors itself notices a missing byte, not a changed one."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(name.encode(), crc)
        if tensors[name].numel():
            crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), crc)
    return crc
