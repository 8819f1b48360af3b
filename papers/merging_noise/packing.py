"""Which ensembles share a job. No torch here."""

from papers.merging_noise.settings import BranchJob, ImageBranches, LanguageBranches

Branches = ImageBranches | LanguageBranches


def packed(ensembles: dict[str, Branches], num_jobs: int | None) -> dict[str, dict[str, Branches]]:
    """Job -> its ensembles: one each, or the dearest first, each into the job that has least to do."""
    if num_jobs is None:
        return {name: {name: own} for name, own in ensembles.items()}
    jobs: list[dict[str, Branches]] = [{} for _ in range(min(num_jobs, len(ensembles)))]
    load = [0.0] * len(jobs)
    for name, own in sorted(ensembles.items(), key=lambda item: -_cost(item[1])):
        lightest = load.index(min(load))
        jobs[lightest][name] = own
        load[lightest] += _cost(own)
    return {f"job-{index}": own for index, own in enumerate(jobs)}


def _cost(own: Branches) -> float:
    """Updates of all branches, each by what it costs: a constant and its rows, of sequences or images."""
    plan, run = own.plan, own.runs[0]
    updates = sum(run.num_steps - fork for fork in plan.forks) * plan.branches * max(1, len(plan.lr_after))
    return len(own.runs) * updates * (60 + run.batch_size * (25 if run.seq_len > 1 else 1))


def job_of(ensembles: dict[str, Branches], num_gpus: int) -> BranchJob:
    """A job's settings."""
    kinds = {
        "images": {name: own for name, own in ensembles.items() if isinstance(own, ImageBranches)},
        "language": {name: own for name, own in ensembles.items() if isinstance(own, LanguageBranches)},
    }
    return BranchJob(**kinds, num_gpus=num_gpus)
