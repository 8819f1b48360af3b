"""Settings: what is wrong in config.yaml is refused in one sentence that names the place and the remedy."""

import math

import pytest
import yaml
from pydantic import Field
from toy_repository import edit, run_in

from shared.artifacts.config import Settings, config_module, load_config, load_shard, scales_of
from shared.artifacts.paper import load_paper
from shared.base.settings import Positive, PositiveRange, StrictModel, flatten, load_yaml, merge, validate


def refusal(repository, old, new, scale="smoke") -> str:
    """What load_config says after an edit of config.yaml."""
    edit(repository / "papers" / "toy" / "config.yaml", old, new)
    with pytest.raises(ValueError) as error:
        load_config("toy", scale)
    return str(error.value)


def test_a_scale_overrides_only_what_it_names(repository):
    base, cpu = load_config("toy", "smoke"), load_config("toy", "cpu")
    assert (base.descent.num_steps, cpu.descent.num_steps) == (20, 40)
    assert cpu.descent.lr == base.descent.lr == 0.05
    assert cpu.problem == base.problem


def test_merge_goes_into_mappings_and_replaces_everything_else():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merge(base, {"a": {"c": [9]}, "e": 4}) == {"a": {"b": 1, "c": [9]}, "d": 3, "e": 4}
    assert merge(base, {"a": 5})["a"] == 5
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_an_unknown_key_names_the_nearest(repository):
    sentence = refusal(repository, "lr: 0.05", "lr: 0.05, num_step: 3")
    assert "papers/toy/config.yaml" in sentence
    assert "unknown key 'num_step' in 'descent'; did you mean 'num_steps'?" in sentence


def test_an_unknown_key_near_nothing_lists_the_known_ones(repository):
    assert "known keys: lr, num_steps" in refusal(repository, "lr: 0.05", "lr: 0.05, zzz: 3")


def test_an_unknown_section_beside_base_is_refused(repository):
    assert "unknown key 'scalez'; known keys: base, scales" in refusal(repository, "scales:", "scalez: {}\nscales:")


def test_a_wrong_value_is_named_with_what_was_given(repository):
    sentence = refusal(repository, "lr: 0.05", "lr: -1.0")
    assert "'descent.lr'" in sentence and "greater than 0" in sentence and "(given: -1.0)" in sentence


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("lr: 0.05", "lr: true", "'descent.lr' is no switch, and true is neither a number nor a text"),
        ("num_steps: 20", "num_steps: false", "'descent.num_steps' is no switch, and false is"),
        ("seed: 0", "seed: yes", "'problem.seed' is no switch, and true is"),
        ("[1.0, 10.0]", "[1.0, true]", "'problem.curvatures' is no switch, and true is"),
        ("lr: 0.05", "lr: .nan", "'descent.lr': "),
        ("lr: 0.05", "lr: .inf", "'descent.lr': Input should be a finite number (given: inf)"),
        ("[1.0, 10.0]", "[1.0, .nan]", "'problem.curvatures.1': Input should be a finite number (given: nan)"),
        ("[1.0, 10.0]", "[]", "'problem.curvatures' is an empty list; fill it"),
    ],
)
def test_a_value_that_a_setting_cannot_mean_is_refused_by_name(repository, old, new, sentence):
    assert f"papers/toy/config.yaml at scale smoke: {sentence}" in refusal(repository, old, new)


def test_a_seed_twice_is_refused_in_every_field_of_seeds():
    class Runs(StrictModel):
        seeds: list[int]
        fresh_seeds: tuple[int, ...] = ()
        tuning_seeds: int = 1
        repeats: list[int] = []

    assert validate(Runs, {"seeds": [0, 1], "tuning_seeds": 2, "repeats": [1, 1]}, "x").seeds == [0, 1]
    for given in ({"seeds": [0, 1, 0]}, {"seeds": [1], "fresh_seeds": (0, 0)}):
        with pytest.raises(ValueError, match="seeds' has 0 twice, and the same run again tells nothing new; keep one"):
            validate(Runs, given, "x")


def test_a_switch_in_a_list_of_bounded_numbers_is_refused():
    class Rates(StrictModel):
        lrs: list[Positive]
        span: PositiveRange

    with pytest.raises(ValueError, match="x: 'lrs' is no switch, and true is"):
        validate(Rates, {"lrs": [0.1, True], "span": [1, 2]}, "x")
    with pytest.raises(ValueError, match="a range runs from its smaller end to its larger one; got 2 to 2"):
        validate(Rates, {"lrs": [0.1], "span": [2, 2]}, "x")


def test_where_a_model_says_so_infinity_a_switch_and_an_empty_list_are_values():
    class Odd(StrictModel):
        bound: float = Field(allow_inf_nan=True)
        on: bool
        several: list[str] = []
        sizes: dict[str, list[int]]

    given = {"bound": math.inf, "on": True, "several": [], "sizes": {"a": [1]}}
    assert validate(Odd, given, "x").model_dump() == given
    with pytest.raises(ValueError, match="x: 'sizes' is an empty list"):
        validate(Odd, given | {"sizes": {"a": []}}, "x")


@pytest.mark.parametrize(
    ("slug", "path", "value"),
    [
        ("logistic_gd", "theorem.gammas", [-0.5]),
        ("gidd", "exact.p_us", [1.5]),
        ("ngn_m", "toys.quartic.lrs", [0.1, -1.0]),
        ("optimizer_gap", "quadratics.sigmas", [-1.0]),
        ("signed_adam", "quadratics.lrs", {"SGD": [0.0], "Signum": [1.0], "Adam": [1.0]}),
        ("gitchameleon", "solvers.qualities", [1.2]),
        ("distributed_sde", "exact.parabola_etas", [0.0]),
    ],
)
def test_a_number_outside_its_range_is_refused_in_every_paper(slug, path, value):
    content = load_config(slug, "smoke").model_dump(mode="json")
    *outer, last = path.split(".")
    section = content
    for key in outer:
        section = section[key]
    assert last in section
    section[last] = value
    with pytest.raises(ValueError, match=f"config: '{path}"):
        validate(config_module(slug).Config, content, "config")


def test_a_missing_key_is_named(repository):
    assert "key 'descent.lr' is missing" in refusal(repository, "lr: 0.05, ", "")


def test_a_key_written_twice_is_refused_with_its_line(repository):
    sentence = refusal(repository, "  problem:", "  num_gpus: 1\n  problem:")
    assert "line 3: key 'num_gpus' appears twice" in sentence


def test_a_mapping_may_merge_another_in_and_override_it(tmp_path):
    (tmp_path / "merged.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", encoding="utf-8")
    assert load_yaml(tmp_path / "merged.yaml")["b"] == {"x": 1, "y": 3}
    (tmp_path / "twice.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: 3, y: 4}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="key 'y' appears twice"):
        load_yaml(tmp_path / "twice.yaml")


def test_broken_yaml_is_refused_with_its_line(repository):
    assert "config.yaml, line 3: not valid YAML" in refusal(repository, "  problem: {", "  problem: {{[}")


def test_a_key_that_is_a_list_is_not_valid_yaml(tmp_path):
    (tmp_path / "odd.yaml").write_text("? [a]\n: 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not valid YAML"):
        load_yaml(tmp_path / "odd.yaml")


def test_a_scale_that_config_yaml_lacks_is_refused(repository):
    sentence = refusal(repository, "  cpu: {descent: {num_steps: 40}}\n", "", scale="cpu")
    assert "scale 'cpu' is missing under 'scales'" in sentence


def test_an_unknown_scale_names_the_choices(repository):
    with pytest.raises(ValueError, match="unknown scale 'smokey'; choose one of smoke, cpu, gpu, paper; did you mean"):
        load_config("toy", "smokey")


@pytest.mark.parametrize("value", ["3", "[1]", "text"])
def test_a_scale_that_is_not_a_mapping_is_refused(repository, value):
    assert "'smoke' has to be a mapping" in refusal(repository, "smoke: {}", f"smoke: {value}")


def test_a_scale_of_the_papers_own_is_known(repository):
    edit(
        repository / "papers" / "toy" / "config.yaml", "  smoke: {}", "  smoke: {}\n  long: {descent: {num_steps: 99}}"
    )
    assert scales_of("toy") == ["smoke", "long", "cpu", "gpu", "paper"]
    assert load_config("toy", "long").descent.num_steps == 99


def test_a_step_reads_only_the_sections_it_declares(repository):
    settings = Settings("toy", "tables", "smoke")
    assert settings.plot.label == "loss"
    assert settings.flat() == {"plot.label": '"loss"'}
    with pytest.raises(AttributeError, match="does not list for it; add it there"):
        settings.descent  # noqa: B018


def test_a_shard_gets_just_its_own_settings_and_an_unknown_one_is_refused(repository):
    shard = load_shard("toy", "descend", "smoke", "curvature=10")
    assert flatten(shard.model_dump()).keys() == {"curvature", "seed", "num_gpus", "descent.lr", "descent.num_steps"}
    with pytest.raises(ValueError, match="no shard 'curvature=3' at scale smoke; known: curvature=1, curvature=10"):
        load_shard("toy", "descend", "smoke", "curvature=3")


def test_an_unknown_paper_names_the_known_ones(repository):
    with pytest.raises(ValueError, match="unknown paper 'toyy'; known: toy; did you mean 'toy'"):
        load_config("toyy", "smoke")


def test_a_column_that_is_not_compared_has_to_say_why(repository):
    edit(
        repository / "papers" / "toy" / "paper.yaml",
        "computed: {rtol: 1.0e-3, atol: 1.0e-12}",
        "computed: {compare: none}",
    )
    with pytest.raises(ValueError, match=r"papers/toy/paper\.yaml: tolerance 'computed': .*needs a 'reason'"):
        load_paper("toy")


def test_a_misspelt_key_of_paper_yaml_names_the_nearest(repository):
    edit(repository / "papers" / "toy" / "paper.yaml", "caption: Final", "captoin: Final")
    with pytest.raises(ValueError, match=r"tables\.tab_final: unknown key .captoin.; did you mean .caption."):
        load_paper("toy")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("    computed: [loss]\n    exact: [reported]", "    exact: [loss, loss]", "column 'loss' has two tolerances"),
        ("    computed: [loss]\n    exact: [label]", "    comptued: [loss]", "unknown key 'comptued'; did you mean"),
        ("    keys: [curvature]", "    keys: [curvature, loss]", "column 'loss' is a key"),
        ("    exact: [label]", "    exact: [label]\n    order: [loss]", "'order' has to name every column once"),
        ("  computed: {rtol: 1.0e-3, atol: 1.0e-12}", "  computed: {compare: none, reason: chaos}", None),
        ("    keys: [curvature, step]", "    from: tab_final\n    keys: [curvature, step]", "shows 'label', which"),
        ("    caption: Final loss by curvature.", "    caption: Losses.", "at least 20 characters"),
    ],
)
def test_what_paper_yaml_cannot_mean_is_refused(repository, old, new, sentence):
    edit(repository / "papers" / "toy" / "paper.yaml", old, new)
    if sentence is None:  # a label is compared, the curve itself is not: allowed, a figure without any value is not
        assert load_paper("toy").figures["fig_loss"].columns["loss"].compare == "none"
        edit(repository / "papers" / "toy" / "paper.yaml", "    exact: [label]\n", "")
        sentence = "no value of figure 'fig_loss' is compared"
    with pytest.raises(ValueError, match=sentence):
        load_paper("toy")


def test_show_prints_the_resolved_settings_as_yaml(built):
    result = run_in(built, "-m", "shared.artifacts.config", "show", "toy", "--scale", "cpu")
    assert result.returncode == 0, result.stdout
    assert yaml.safe_load(result.stdout)["descent"] == {"lr": 0.05, "num_steps": 40}


def test_show_ends_a_users_error_in_one_sentence_and_status_1(built):
    result = run_in(built, "-m", "shared.artifacts.config", "show", "toy", "--scale", "huge")
    assert result.returncode == 1
    assert result.stdout == "error: unknown scale 'huge'; choose one of smoke, cpu, gpu, paper\n"
