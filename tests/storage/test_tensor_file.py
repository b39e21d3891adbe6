"""A file of tensors is what was written, or an error: never something in between."""

import os
from pathlib import Path

import pytest
import torch

from rnncli.errors import ModelError, StorageError
from rnncli.storage.tensor_file import check_tensors, read_tensors, write_tensors

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "scalar": torch.tensor(2.0),
    "bytes": torch.tensor([1], dtype=torch.uint8),
}
FACTS = {"step": 7, "score": None}


@pytest.fixture
def file(own_folder: Path) -> Path:
    path = own_folder / "weights.safetensors"
    write_tensors(path, TENSORS, FACTS)
    return path


def test_tensors_and_facts_come_back(file: Path) -> None:
    tensors, facts = read_tensors(file)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensor, tensors[name])


def test_every_flipped_byte_is_noticed(file: Path) -> None:
    content = file.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x04
        file.write_bytes(damaged)
        with pytest.raises(ModelError):
            read_tensors(file)


def test_every_truncation_is_noticed(file: Path) -> None:
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_tensors(file)


def test_weights_that_are_not_finite_are_refused(own_folder: Path) -> None:
    write_tensors(own_folder / "w", {"a": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(ModelError, match="a holds numbers that are not finite"):
        read_tensors(own_folder / "w")


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"a": torch.zeros(2)}, "b is missing"),
        ({"a": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)}, "c does not belong"),
        ({"a": torch.zeros(3), "b": torch.zeros(1)}, r"a is .*\(3,\)"),
        ({"a": torch.zeros(2).half(), "b": torch.zeros(1)}, "a is .*float16"),
    ],
)
def test_extra_missing_and_misshapen_tensors_are_named(tensors: dict[str, torch.Tensor], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        check_tensors(Path("w"), tensors, {"a": torch.zeros(2), "b": torch.zeros(1)})


def test_a_link_is_not_followed(file: Path, own_folder: Path) -> None:
    (own_folder / "link").symlink_to(file)
    with pytest.raises(ModelError, match="not a plain file"):
        read_tensors(own_folder / "link")


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"weights\.safetensors: No space left"):
        write_tensors(file, TENSORS, {"step": 8})
    assert file.read_bytes() == before


def test_files_get_the_modes_that_the_umask_leaves(own_folder: Path) -> None:
    before = os.umask(0o022)
    try:
        write_tensors(own_folder / "w", TENSORS, FACTS)
    finally:
        os.umask(before)
    assert (own_folder / "w").stat().st_mode & 0o777 == 0o644
