"""Format numbers for people."""


def duration(seconds: float) -> str:
    """7.2 -> "7.2 s", 125 -> "2 min 5 s", 7300 -> "2 h 2 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def clock(seconds: float) -> str:
    """125 -> "2:05", 7300 -> "2:01:40"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count_bytes: int) -> str:
    """950 -> "950 B", 12_300_000 -> "12.3 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= factor:
            return f"{count_bytes / factor:.3g} {unit}"
    return f"{count_bytes} B"


def perplexity(value: float) -> str:
    """4.33521 -> "4.335", 12345.6 -> "12,346", 3.1e21 -> "3.10e+21"."""
    if value < 1000:
        return f"{value:.3f}"
    return f"{value:,.0f}" if value < 1e7 else f"{value:.2e}"
