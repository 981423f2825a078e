"""Numbers as a report says them."""

__all__ = ["scaled", "short", "time_of"]


def short(value: float, digits: int = 3) -> str:
    """A number for people: so many digits, or all of a whole one."""
    if value == int(value) or abs(value) >= 1000:
        return f"{round(value):,}"
    places = max(0, digits - len(str(int(abs(value)))))
    return f"{value:,.{places}f}"


def time_of(cycles: float, clock_mhz: float) -> str:
    """How long so many cycles are."""
    micro = cycles / clock_mhz
    return f"{micro / 1000:,.2f} ms" if micro >= 10_000 else f"{short(micro)} µs"


def scaled(value: float, unit: str) -> str:
    """A number of a unit, in thousands, millions or more of it."""
    for power, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{short(value / power)} {prefix}{'' if unit[:1] in 'B/' else ' '}{unit}"
    return f"{short(value)} {unit}"
