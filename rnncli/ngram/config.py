"""Options of n-gram models."""

from dataclasses import dataclass
from pathlib import Path

from rnncli.errors import ConfigError
from rnncli.options import OptionGroup, option

MAX_ORDER = 16


@dataclass(frozen=True, kw_only=True)
class NgramOptions(OptionGroup):
    """Which n-gram model is interpolated with a network."""

    order: int | None = option(
        None,
        help="Length of the n-grams, in tokens.",
        min=1,
        max=MAX_ORDER,
        metavar="N",
        shown="7 for characters and bytes, else 5",
    )
    arpa: Path | None = option(
        None, help="Also write it as an ARPA file, the format of SRILM and KenLM.", metavar="FILE"
    )
    from_arpa: Path | None = option(
        None, help="Read it from an ARPA file instead of estimating it.", metavar="FILE"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order is not None and self.from_arpa is not None:
            raise ConfigError("both --order and --from-arpa are given", hint="an ARPA file has its own order")
