"""What a run is called in the tables and what it is compared as."""

from collections.abc import Iterator

from papers.gidd.settings import Study


def named_runs(study: Study) -> Iterator[dict]:
    """Settings of every run, with these columns.

    loss: the weighting, "dynamic" for its exact form too, and "+ weight decay". main: of the first size of the group
    that is sampled, or autoregressive. usual: as long as the study's training says; others are for the headline
    perplexities alone. headline: with the recipe of the group that is sampled. model: the run's row in the table of
    perplexities, if it has one.
    """
    sampled = next(group for group in study.runs if group.sample)
    for run in study.all_runs():
        loss = "dynamic" if run.weighting.startswith("dynamic") else run.weighting
        recipe = (run.objective, run.weighting, run.weight_decay)
        row = {"run": run.id, **run.model_dump(exclude={"id", "sample"})}
        row |= {"loss": loss + (" + weight decay" if run.weight_decay else "")}
        row |= {"main": run.size == sampled.size[0] or run.objective == "ar"}
        row |= {"usual": run.num_steps == study.training.num_steps}
        row |= {"headline": recipe == ("gidd", sampled.weighting[0], sampled.weight_decay[0])}
        row |= {"tokens": run.num_steps * study.training.batch_size * study.corpus.seq_len}
        yield row | {"model": _model(row)}


def _model(row: dict) -> str | None:
    if row["objective"] != "gidd":
        return row["objective"].upper()
    if row["p_u"] == 0 and row["loss"] == "none":
        return "MDM"
    return f"GIDD{'+' if row['weight_decay'] else ''} (p_u={row['p_u']:g})" if row["headline"] else None
