"""Events of a training as TensorBoard event files, under the names of metrics.jsonl; needs an extra."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnncli.errors import MissingPackageError, ModelError, StorageError
from rnncli.events import Evaluated, Event, Stepped
from rnncli.storage.layout import EVENTS
from rnncli.storage.untrusted import DAMAGED_HINT

_log = logging.getLogger(__name__)


def writer_type() -> Any:
    """TensorBoard's writer; raises MissingPackageError if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            f"event files need TensorBoard: {error}", hint="pip install 'rnncli[tensorboard]'"
        ) from error
    return SummaryWriter


@contextmanager
def event_log(folder: Path, step: int, requested: bool) -> Iterator[Callable[[Event], None]]:
    """Yield a function that appends an event to the event files of a model directory.

    The function does nothing unless event files are `requested` or exist already. Events that an earlier
    process wrote after `step` are discarded. A failure to close the files is logged.

    Raises:
        MissingPackageError: TensorBoard is not installed.
        StorageError: The function cannot write.
    """
    folder_path = folder / EVENTS
    if folder_path.is_symlink():
        raise ModelError(f"{folder_path} is a link", hint=DAMAGED_HINT)
    if not (requested or folder_path.is_dir()):
        yield lambda _: None
        return
    with _as_storage_error(folder_path):
        writer = writer_type()(str(folder_path), purge_step=step + 1)

    def append(event: Event) -> None:
        if not isinstance(event, Stepped | Evaluated):
            return
        with _as_storage_error(folder_path):
            for name, value in _numbers(asdict(event)):
                if name != "step":
                    writer.add_scalar(name, value, event.step)

    try:
        yield append
    finally:
        try:
            with _as_storage_error(folder_path):
                writer.close()
        except StorageError as error:
            _log.warning("%s; %s", error, error.hint)


@contextmanager
def _as_storage_error(folder_path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {folder_path}: {error.strerror}",
            hint="check the free space and the permissions of that folder",
        ) from error


def _numbers(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """{"score": {"nll_nats": 3.0}} -> ("score/nll_nats", 3.0); other values than numbers are skipped."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield above + name, float(value)
