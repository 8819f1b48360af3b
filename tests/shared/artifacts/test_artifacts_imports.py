"""Drawing a figure or comparing a table costs no torch start-up; errors end in one sentence."""

import pytest
import typer
from toy_repository import ROOT, run_in

from shared.artifacts.paths import paper_slugs
from shared.base.errors import in_one_sentence, nearest


def test_artifacts_and_every_papers_config_import_without_torch():
    modules = [f"shared.artifacts.{p.stem}" for p in sorted((ROOT / "shared" / "artifacts").glob("[a-z]*.py"))]
    modules += [f"papers.{slug}.config" for slug in paper_slugs(ROOT)]
    assert len(modules) > 10
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; print('torch' in sys.modules)"
    result = run_in(ROOT, "-c", code)
    assert result.stdout == "False\n", result.stdout


def test_a_users_error_ends_in_one_sentence(capsys):
    @in_one_sentence
    def command(error):
        raise error

    for error, sentence in [
        (ValueError("the value is 3; give 4"), "error: the value is 3; give 4\n"),
        (FileNotFoundError(2, "No such file", "x.csv"), "error: no such file: x.csv\n"),
        (PermissionError(13, "denied", "out"), "error: cannot write or read out: permission denied; make the folder"),
    ]:
        with pytest.raises(typer.Exit) as exit:
            command(error)
        assert exit.value.exit_code == 1
        assert capsys.readouterr().err.startswith(sentence)


def test_our_own_mistakes_keep_their_traceback():
    @in_one_sentence
    def command():
        raise KeyError("ours")

    with pytest.raises(KeyError):
        command()


def test_the_traceback_of_a_users_error_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("ARTIFACTS_TRACEBACK", "1")

    @in_one_sentence
    def command():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        command()


def test_only_a_close_name_is_suggested():
    assert nearest("beta_2", ["beta1", "beta2", "lr"]) == "; did you mean 'beta2'?"
    assert nearest("zzz", ["beta1", "lr"]) == "" and nearest("x", []) == ""
