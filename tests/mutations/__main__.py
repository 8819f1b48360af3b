"""Do the tests notice planted errors? One at a time, in a copy of the checkout.

    python -m tests.mutations [slug | slug/name ...] [--jobs 1]

Prints what was killed and what survived, and the share per paper. Exit status 1 if a paper's tests notice less than
90 % of its errors, or if a patch no longer applies. README.md of this folder has the format.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from shared.base.errors import in_one_sentence
from tests.mutations.catalogue import Mutation, catalogues, check, chosen
from tests.mutations.trial import Copy, Trial

LEAST_SHARE = 0.9


def trials(parts: dict[str, dict[str, Mutation]], jobs: int, limit_s: float) -> Iterator[Trial]:
    """Every mutation tried out, each of `jobs` threads in a copy of its own; in the order in which they end."""
    tests = sorted({test for part in parts.values() for mutation in part.values() for test in mutation.tests})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for index in range(jobs):
            copies.put(Copy(Path(folder) / str(index), limit_s))

        def one(slug: str, name: str, mutation: Mutation) -> Trial:
            copy = copies.get()
            try:
                return copy.try_out(slug, name, mutation)
            finally:
                copies.put(copy)

        copy = copies.get()
        copy.check_unpatched(tests)
        copies.put(copy)
        futures = [pool.submit(one, slug, name, m) for slug, part in parts.items() for name, m in part.items()]
        yield from (future.result() for future in as_completed(futures))


def shares(found: list[Trial]) -> dict[str, tuple[int, int]]:
    """Slug -> (noticed, planted)."""
    found_of = {slug: [t.noticed for t in found if t.slug == slug] for slug in sorted({t.slug for t in found})}
    return {slug: (sum(noticed), len(noticed)) for slug, noticed in found_of.items()}


@in_one_sentence
def main(
    wanted: Annotated[list[str] | None, typer.Argument(help="Papers, or slug/name; all if omitted.")] = None,
    jobs: Annotated[int, typer.Option(help="Mutations tried at once.", min=1)] = 1,
    limit_s: Annotated[float, typer.Option(help="Seconds until the tests of a mutation are given up.")] = 600,
) -> None:
    """Plant errors one at a time and say which of them the tests notice."""
    parts = {slug: part for slug, part in chosen(list(wanted or []), catalogues()).items() if part}
    if not parts:
        raise ValueError("no mutations are listed; see tests/mutations/README.md")
    for slug, part in parts.items():
        for name, mutation in part.items():
            try:
                check(mutation)
            except ValueError as error:
                raise ValueError(f"{slug}/{name} no longer applies: {error}") from None
    found = []
    for trial in trials(parts, jobs, limit_s):
        found.append(trial)
        said = f"by {trial.by}" if trial.by else "" if trial.noticed else parts[trial.slug][trial.name].wrong
        typer.echo(f"{trial.outcome:9} {trial.slug}/{trial.name} ({trial.seconds:.0f} s) {said}".rstrip())
    for slug, (noticed, planted) in shares(found).items():
        typer.echo(f"{slug}: {noticed} of {planted} killed ({noticed / planted:.0%})")
    if any(noticed < LEAST_SHARE * planted for noticed, planted in shares(found).values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
