"""What is written in figures."""

from papers.distributed_sde.labels import in_symbols


def test_formulas_are_set_in_symbols_and_words_left_alone():
    assert in_symbols("2/((1+|g|)kappa)") == r"$2/((1+|g|)\kappa)$"
    assert in_symbols("0.3/sqrt(k+1)") == r"$0.3/\sqrt{k+1}$"
    assert in_symbols("constant 0.5") == "constant 0.5"
