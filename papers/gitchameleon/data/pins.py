"""Requirement pins: what an environment is made of, in one normal form.

The data write `2`, `1.1` and `numpy==1.16`; PEP 440 pads releases with zeros, so `numpy==1.16` and
`numpy==1.16.0` are one pin, and names compare after PEP 503 normalisation.
"""

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Pin = tuple[str, str]  # (normalised name, normalised version)


def normal_version(version: str) -> str:
    """PEP 440 normal form without trailing zeros of the release beyond three parts: `2` and `2.0` give `2.0.0`.

    Raises:
        ValueError: not a version.
    """
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise ValueError(f"'{version}' is not a version (PEP 440)") from None
    release = list(parsed.release) + [0] * (3 - len(parsed.release))
    while len(release) > 3 and release[-1] == 0:
        release.pop()
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    rest = str(parsed.public)[len(parsed.base_version) :]
    return epoch + ".".join(map(str, release)) + rest + (f"+{parsed.local}" if parsed.local else "")


def pin(name: str, version: str) -> Pin:
    """A pin in normal form."""
    return str(canonicalize_name(name)), normal_version(version)


def parse_pins(text: str | None) -> tuple[Pin, ...]:
    """Pins of a space-separated list such as `rtree==0.9.3 shapely==1.8.5`, sorted, each once.

    Raises:
        ValueError: an entry is no exact pin `name==version`.
    """
    found = set()
    for entry in (text or "").split():
        try:
            requirement = Requirement(entry)
        except InvalidRequirement:
            raise ValueError(f"'{entry}' is not a requirement; write name==version") from None
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==":
            raise ValueError(f"'{entry}' is not an exact pin; write name==version")
        found.add(pin(requirement.name, specifiers[0].version))
    return tuple(sorted(found))


def conflicts(pins: tuple[Pin, ...]) -> list[str]:
    """Names that are pinned to two versions."""
    names = [name for name, _ in set(pins)]
    return sorted({name for name in names if names.count(name) > 1})


def same_version(one: str, other: str) -> bool:
    """Whether two version strings are equal under PEP 440; local labels such as `+cpu` do not count."""
    return normal_version(one.split("+")[0]) == normal_version(other.split("+")[0])
