"""Updates of an optimiser as a time: one of length eta ends at eta, which is where its equation is looked at."""


def whole_updates(time: float, eta: float) -> int:
    """Updates of length `eta` up to `time`, both positive.

    Raises:
        ValueError: a learning rate that is not positive or does not divide the time: method and equation would be
            compared at different times.
    """
    if not eta > 0:
        raise ValueError(f"a learning rate must be positive; got eta {eta:g}")
    number = round(time / eta)
    if number < 1 or abs(number * eta - time) > 1e-9 * time:
        raise ValueError(
            f"eta {eta:g} does not divide the time {time:g}; the last update would end at {number * eta:g}"
        )
    return number
