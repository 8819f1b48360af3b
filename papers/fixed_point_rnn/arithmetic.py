"""Modular arithmetic with brackets: random expressions of a given number of tokens, and their values.

Symbols are numbered: digits 0 .. m-1, then + - * ( ) =, then padding.
"""

import numpy as np

OPERATORS = "+-*"
EXTRA = (*OPERATORS, "(", ")", "=", "PAD")


def vocab_size(modulus: int) -> int:
    """Digits, operators, brackets, the equals sign and padding; 12 for modulus 5."""
    return modulus + len(EXTRA)


def symbol(name: str, modulus: int) -> int:
    """Number of one of EXTRA."""
    return modulus + EXTRA.index(name)


def expression(length: int, modulus: int, rng: np.random.Generator) -> list[str]:
    """A random expression of exactly `length` tokens, without the equals sign.

    One token is a digit; else the whole is put in brackets (one time in three) or split at an operator, both parts
    of odd length. Operators bind as usual.

    Raises:
        ValueError: an even length, or none.
    """
    if length < 1 or length % 2 == 0:
        raise ValueError(f"expressions have odd lengths from 1 on; got {length}")
    if length == 1:
        return [str(rng.integers(modulus))]
    if length >= 5 and rng.random() < 1 / 3:
        return ["(", *expression(length - 2, modulus, rng), ")"]
    left = 2 * int(rng.integers((length - 1) // 2)) + 1
    operator = OPERATORS[rng.integers(len(OPERATORS))]
    return [*expression(left, modulus, rng), operator, *expression(length - left - 1, modulus, rng)]


def value(tokens: list[str], modulus: int) -> int:
    """The expression's value modulo `modulus`, by recursive descent.

    Raises:
        ValueError: not an expression.
    """
    position = 0

    def peek() -> str:
        return tokens[position] if position < len(tokens) else ""

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def factor() -> int:
        if peek() == "(":
            take()
            found = total()
            if peek() != ")":
                raise ValueError(f"a bracket is not closed in {' '.join(tokens)}")
            take()
            return found
        if not peek().isdigit():
            raise ValueError(f"expected a digit or a bracket at token {position} of {' '.join(tokens)}")
        return int(take()) % modulus

    def product() -> int:
        found = factor()
        while peek() == "*":
            take()
            found = found * factor() % modulus
        return found

    def total() -> int:
        found = product()
        while peek() in ("+", "-"):
            sign = 1 if take() == "+" else -1
            found = (found + sign * product()) % modulus
        return found

    found = total()
    if position != len(tokens):
        raise ValueError(f"token {position} of {' '.join(tokens)} does not belong to an expression")
    return found


def encode(tokens: list[str], modulus: int) -> list[int]:
    """Numbers of the tokens."""
    return [int(t) if t.isdigit() else symbol(t, modulus) for t in tokens]
