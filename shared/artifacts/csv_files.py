"""CSV as every table here is written: `%.6g`, missing values empty, Unix line ends, UTF-8."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

FLOAT_FORMAT = "%.6g"


def to_csv(frame: pd.DataFrame) -> str:
    """CSV text of a frame: `%.6g`, missing values empty, Unix line ends."""
    return frame.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def read_csv(path: Path, text: Iterable[str] = ()) -> pd.DataFrame:
    """A frame as `to_csv` wrote it. Only an empty field is missing: 'None' and 'nan' stay words.

    Args:
        text: columns to read as they are written, even if they look like numbers.

    Raises:
        ValueError: no such file, or not a CSV.
    """
    if not Path(path).is_file():
        raise ValueError(f"no table at {path}; build it first")
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(text, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV table ({str(error).strip()}); delete it and build again") from None
