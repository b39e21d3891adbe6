"""A run's reports as event files of TensorBoard, under the names of metrics.jsonl; needs an extra."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnncli.errors import ConfigError, ModelError, StorageError
from rnncli.events import Evaluated, Report, Stepped
from rnncli.storage.layout import EVENTS
from rnncli.storage.safe_load import DAMAGED

_log = logging.getLogger(__name__)


def writer_type() -> Any:
    """TensorBoard's writer; raises ConfigError where it is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            f"event files need TensorBoard: {error}", hint="pip install 'rnncli[tensorboard]'"
        ) from error
    return SummaryWriter


@contextmanager
def event_log(folder: Path, step: int, wanted: bool) -> Iterator[Callable[[Report], None]]:
    """What appends a report to the event files of a model folder: nothing, unless it is or was `wanted`.

    What an earlier process wrote there after `step` is taken back. Raises ConfigError where TensorBoard is
    missing; to append raises StorageError, and what cannot be written at the end is logged.
    """
    place = folder / EVENTS
    if place.is_symlink():
        raise ModelError(f"{place} is a link", hint=DAMAGED)
    if not (wanted or place.is_dir()):
        yield lambda _: None
        return
    with _as_storage_error(place):
        writer = writer_type()(str(place), purge_step=step + 1)

    def append(report: Report) -> None:
        if not isinstance(report, Stepped | Evaluated):
            return
        with _as_storage_error(place):
            for name, value in _numbers(asdict(report)):
                if name != "step":
                    writer.add_scalar(name, value, report.step)

    try:
        yield append
    finally:
        try:
            with _as_storage_error(place):
                writer.close()
        except StorageError as error:
            _log.warning("%s; %s", error, error.hint)


@contextmanager
def _as_storage_error(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {place}: {error.strerror}",
            hint="check the free space and the permissions of that folder",
        ) from error


def _numbers(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """{"score": {"nats": 3.0}} -> ("score/nats", 3.0); what is no number is left out."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield above + name, float(value)
