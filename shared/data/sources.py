"""Third-party data: fetched, checked, never committed.

    python -m shared.data.sources                  the registry as a table
    python -m shared.data.sources fetch NAME       download (or take from the mirror) and check

When `ARTIFACTS_MIRROR` names a folder, files are read from its subfolder `NAME/` and nothing is downloaded; the
same checksums hold. Otherwise they are downloaded once into the cache.
"""

import os
import shutil
import urllib.error
import urllib.request
import warnings
from pathlib import Path

from shared.base.cache import build_once, cache_dir, sha256_of
from shared.base.errors import nearest_or_all
from shared.data.registry import SOURCES, Source, SourceFile

REGISTRY: dict[str, Source] = {source.name: source for source in SOURCES}
TIMEOUT_SECONDS = 30.0


class ChecksumError(ValueError):
    """A file's bytes are not the ones that the registry names."""


def source(name: str) -> Source:
    """Registry entry `name`; an unknown name is refused with the nearest known one."""
    if name not in REGISTRY:
        raise ValueError(f"unknown data source '{name}'; {nearest_or_all(name, REGISTRY)}")
    return REGISTRY[name]


def mirror_dir() -> Path | None:
    """Folder that `ARTIFACTS_MIRROR` names, or None where the variable is unset.

    Raises:
        ValueError: the variable is set, but is no folder.
    """
    named = os.environ.get("ARTIFACTS_MIRROR")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise ValueError(f"ARTIFACTS_MIRROR is {named}, which is no folder; correct it, or unset it to download")
    return folder


def fetch(name: str, file: str) -> Path:
    """Path of a checked file of source `name`: the mirror's, the cached one, or a fresh download.

    Raises:
        ChecksumError: the bytes are not the registry's.
        ValueError: unknown source or file, file missing from the mirror, or no network.
    """
    entry = source(name)
    wanted = entry.file(file)
    mirror = mirror_dir()
    if mirror is not None:
        path = mirror / name / file
        if not path.is_file():
            raise ValueError(
                f"the mirror {mirror} has no {name}/{file}; put the file there (from {address(entry, wanted)}),"
                " or unset ARTIFACTS_MIRROR to download it"
            )
        _check(path, f"{name}/{file}", wanted, accept_mirror=True)
        return path
    revision = (entry.revision or "unpinned")[:12]
    cached = cache_dir() / "sources" / name / revision / file
    if cached.is_file():
        _check(cached, f"{name}/{file}", wanted)
        return cached

    def download(unfinished: Path) -> None:
        _download(address(entry, wanted), unfinished, f"{name}/{file}")
        _check(unfinished, f"{name}/{file}", wanted)

    return build_once(cached, download)


def address(entry: Source, file: SourceFile) -> str:
    """URL of one file; `HF_ENDPOINT` replaces the hub's address, as it does for the hub's own client."""
    if entry.url:
        return entry.url + file.path
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{endpoint}/datasets/{entry.hub}/resolve/{entry.revision or 'main'}/{file.path}"


def _download(url: str, target: Path, label: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, target.open("wb") as stream:
            shutil.copyfileobj(answer, stream, length=1 << 20)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{label} was refused by {url} (HTTP {error.code} {error.reason})") from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise ValueError(
            f"{label} cannot be downloaded from {url} ({reason}); connect to the network, or set ARTIFACTS_MIRROR to a"
            f" folder that holds {label}"
        ) from error


def _check(path: Path, label: str, file: SourceFile, accept_mirror: bool = False) -> None:
    """Refuse `path` unless its SHA-256 is a known one; an unpinned file passes with a warning that names its sum."""
    found = sha256_of(path)
    accepted = [digest for digest in (file.sha256, file.mirror_sha256 if accept_mirror else None) if digest]
    if not accepted:
        warnings.warn(f"{label} is unpinned: no checksum is known; this copy has sha256 {found}", stacklevel=3)
    elif found not in accepted:
        raise ChecksumError(
            f"{label} has a wrong checksum: expected sha256 {' or '.join(accepted)}, found {found} in {path}; delete"
            " that copy and fetch it again, or correct the mirror"
        )


def _table() -> str:
    from tabulate import tabulate

    rows = [
        [s.name, s.kind, s.hub or "URL", (s.revision or "unpinned")[:12], _checked(s), s.size, s.licence]
        for s in sorted(REGISTRY.values(), key=lambda s: (s.kind, s.name))
    ]
    header = ["name", "kind", "hub id", "revision", "checksums", "size", "licence"]
    return tabulate(rows, header, maxcolwidths=[None] * 6 + [40])


def _checked(entry: Source) -> str:
    if not entry.files:
        return "by the hub" if entry.revision else "none"
    return f"{sum(file.sha256 is not None for file in entry.files)} of {len(entry.files)} files"


def _fetch_all(name: str) -> list[Path]:
    entry = source(name)
    if not entry.files:
        raise ValueError(
            f"{name} is not fetched as files: it is read through HF datasets as {entry.hub}, see"
            " shared.data.loaders.stream_text"
        )
    return [fetch(name, file.name) for file in entry.files]


def main() -> None:
    """Command line: list the registry, or fetch one source."""
    import sys

    import typer

    app = typer.Typer(add_completion=False, help="Registry of third-party data.")

    @app.callback(invoke_without_command=True)
    def show(context: typer.Context) -> None:
        """List the registry."""
        if context.invoked_subcommand is None:
            print(_table())

    @app.command("fetch")
    def fetch_command(name: str) -> None:
        """Download every file of NAME, or find it in the mirror, and check it."""
        try:
            for path in _fetch_all(name):
                print(path)
        except ValueError as error:
            sys.exit(f"error: {error}")

    app()


if __name__ == "__main__":
    main()
