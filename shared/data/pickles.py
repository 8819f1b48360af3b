"""Data frames out of pickles that others made, without running what a pickle may ask for.

A pickle is a program: it can name any function of any module and call it. Here only the few names that a plain
pandas frame needs are looked up; any other is refused before it is imported. A checksum says where a file comes from;
this says what it can do.
"""

import importlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

# Names that frames of numbers and strings are made of. Each is matched as a whole: a dotted name such as
# DataFrame.to_csv, which newer protocols allow, is another name.
_ALLOWED = {
    "builtins": {"slice"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "pandas": {"DataFrame", "Index", "RangeIndex"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
    "pandas._libs.internals": {"_unpickle_block"},
}
_MOVED = {"numpy.core.multiarray": "numpy._core.multiarray", "numpy.core.numeric": "numpy._core.numeric"}


class RefusedPickleError(ValueError):
    """A pickle names something that reading a data frame does not need."""


class _FrameUnpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, label: str):
        super().__init__(stream)
        self.label = label

    def find_class(self, module: str, name: str) -> Any:
        place = _MOVED.get(module, module)
        if name not in _ALLOWED.get(place, ()):
            raise RefusedPickleError(
                f"{self.label} asks for {module}.{name}, which a data frame does not need; nothing of it was run."
                " Do not open this file by other means unless you trust its author"
            )
        return getattr(importlib.import_module(place), name)

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedPickleError(f"{self.label} refers to an object outside of the file ({pid!r}); nothing was loaded")


def read_frame(path: Path) -> "pd.DataFrame":
    """The data frame in a pickle; classes outside of a short list of pandas' and numpy's own are refused.

    Raises:
        RefusedPickleError: another class or function; names it and the file.
        ValueError: no such file, not a whole pickle, or something other than a data frame.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no pickle at {path}")
    with path.open("rb") as stream:
        try:
            found = _FrameUnpickler(stream, str(path)).load()
        except RefusedPickleError:
            raise
        except Exception as error:  # a damaged pickle can raise nearly anything
            raise ValueError(f"{path} is not a whole pickle of a data frame ({error}); fetch it again") from error
    if not isinstance(found, pd.DataFrame):
        raise ValueError(f"{path} holds a {type(found).__name__}, not a data frame")
    return found
