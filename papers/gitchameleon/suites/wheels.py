"""The built-in libraries as wheels, written with `zipfile` alone: no build backend, no network."""

import base64
import hashlib
import zipfile
from pathlib import Path

from shared.base.cache import build_once

LIBRARIES = ("textkit", "tablekit", "storekit")
VERSIONS = {"v1": "1.0.0", "v2": "2.0.0"}
SOURCES = Path(__file__).parent / "libraries"
_TIME = (2020, 1, 1, 0, 0, 0)  # the same bytes whenever they are written


def write_wheels(folder: Path) -> Path:
    """Folder with a wheel of every version of every library; its name carries a digest of their sources."""
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(SOURCES.glob("*.py")))).hexdigest()[:12]

    def build(unfinished: Path) -> None:
        unfinished.mkdir()
        for library in LIBRARIES:
            for suffix, version in VERSIONS.items():
                _write_wheel(unfinished, library, version, (SOURCES / f"{library}_{suffix}.py").read_bytes())

    return build_once(Path(folder) / digest, build)


def _write_wheel(folder: Path, name: str, version: str, source: bytes) -> None:
    """One pure-Python wheel with one module (PEP 427)."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: paper-artifacts\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, data in files.items():
            wheel.writestr(zipfile.ZipInfo(path, _TIME), data)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
