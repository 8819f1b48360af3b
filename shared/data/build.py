"""Makes everything in data/ that this project made: the same bytes each time, on any platform.

    python -m shared.data.build            write data/
    python -m shared.data.build --check    compare data/ with what would be written; exit 1 if they differ

Only procedurally made data lives there. Recorded accelerator runs stand beside it, in data/recorded/, and are left
alone.
"""

import io
import json
from pathlib import Path

import numpy as np

from shared.base.paths import repo_root
from shared.data.config import MarkovConfig
from shared.data.counter import row_uniforms
from shared.data.markov import MarkovSource, markov_source

# frozen Markov sets: small ones for scale smoke and cpu, one of order 2
MARKOV_SETS = {
    "v16k3": MarkovConfig(num_states=16, num_successors=3),
    "v32k4": MarkovConfig(num_states=32, num_successors=4),
    "v16k3o2": MarkovConfig(num_states=16, num_successors=3, order=2),
}
NUM_SEQUENCES, SEQ_LEN = 1024, 64

_README = """\
# Data made by this project

Tracked by `data.dvc`; `dvc pull` brings it. Nothing of third parties is in here.

- `markov/<name>/`: a frozen sparse Markov chain with evaluation sequences.
  `successors.npy` (contexts, K) uint8 and `probabilities.npy` (contexts, K) float64 are the chain, `sequences.npy`
  (1024, 64) uint8 are stationary sequences, `chain.json` has the settings and the entropy rate in nats per token.
- `recorded/<paper>/<scale>/`: runs recorded on an accelerator.

`python -m shared.data.build` writes all but the recorded runs again, byte for byte. Licence: MIT, as the code.
"""
_RECORDED_README = """\
# Recorded runs

`<paper>/<scale>/` holds the records of runs that were made on an accelerator, laid out as `results/<scale>/runs/` of
that paper. `snakemake papers/<paper>/all --config scale=<scale> records=dvc` draws tables and figures from them.
No run has been recorded yet.
"""


def contents() -> dict[str, bytes]:
    """Path below data/ -> bytes of every file that this module makes."""
    files = {"README.md": _README.encode(), "recorded/README.md": _RECORDED_README.encode()}
    for name, config in MARKOV_SETS.items():
        for file, content in _markov_set(config).items():
            files[f"markov/{name}/{file}"] = content
    return files


def load_markov_set(name: str, folder: Path | None = None) -> tuple[MarkovSource, np.ndarray]:
    """A frozen chain and its evaluation sequences, (1024, 64) int64.

    Raises:
        ValueError: no such set, or data/ has not been pulled.
    """
    if name not in MARKOV_SETS:
        raise ValueError(f"there is no frozen Markov set '{name}'; there are {', '.join(MARKOV_SETS)}")
    here = (folder or repo_root() / "data") / "markov" / name
    if not here.is_dir():
        raise ValueError(f"{here} is missing; run `dvc pull`, or `python -m shared.data.build`")
    config = MARKOV_SETS[name]
    successors = np.load(here / "successors.npy").astype(np.int64)
    chain = MarkovSource(successors, np.load(here / "probabilities.npy"), config.num_states, config.order)
    return chain, np.load(here / "sequences.npy").astype(np.int64)


def write(folder: Path) -> None:
    """Write every file below `folder`."""
    for name, content in contents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def differences(folder: Path) -> list[str]:
    """What `write` would change in `folder`, one line each."""
    lines = []
    for name, content in contents().items():
        path = folder / name
        if not path.is_file():
            lines.append(f"missing: {name}")
        elif path.read_bytes() != content:
            lines.append(f"differs: {name}")
    return lines


def _markov_set(config: MarkovConfig) -> dict[str, bytes]:
    chain = markov_source(config)
    uniforms = row_uniforms(config.seed, "frozen_markov_set", 0, range(NUM_SEQUENCES), SEQ_LEN)
    # ten digits: the linear solve behind the stationary law may differ in the last bits between machines
    summary = {
        **config.model_dump(),
        "num_sequences": NUM_SEQUENCES,
        "seq_len": SEQ_LEN,
        "entropy_rate_nats_per_token": float(f"{chain.entropy_rate:.10g}"),
    }
    return {
        "successors.npy": _npy(chain.successors.astype(np.uint8)),
        "probabilities.npy": _npy(chain.probabilities),
        "sequences.npy": _npy(chain.paths(uniforms).astype(np.uint8)),
        "chain.json": (json.dumps(summary, indent=1) + "\n").encode(),
    }


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0))
    return stream.getvalue()


def main() -> None:
    """Command line."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m shared.data.build", description="Make the contents of data/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if data/ differs")
    check = parser.parse_args().check
    folder = repo_root() / "data"
    if not check:
        write(folder)
        print(f"wrote {len(contents())} files to {folder}")
        return
    found = differences(folder)
    print("\n".join(found) or f"{folder} is as built")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
