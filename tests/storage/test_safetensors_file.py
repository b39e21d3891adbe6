"""A file of tensors is read whole, or an error."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from rnncli import files, runtime
from rnncli.errors import ModelError, StorageError
from rnncli.storage.safetensors_file import AnyArray, check_arrays, read_arrays, serialize_arrays

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(2.0, np.float32),
    "bytes": np.array([1], np.uint8),
}
REAL = np.dtype(np.float64)
FACTS = {"step": 7, "score": None}


@pytest.fixture
def file(own_folder: Path) -> Path:
    path = own_folder / "weights.safetensors"
    path.write_bytes(serialize_arrays(TENSORS, FACTS))
    return path


def test_equal_arrays_are_equal_files() -> None:
    """Also from processes that have nothing else in common."""
    program = (
        "import sys, numpy; from rnncli.storage.safetensors_file import serialize_arrays\n"
        "arrays = {name: numpy.arange(3.0) for name in 'abcdef'}\n"
        "sys.stdout.buffer.write(serialize_arrays(arrays, {'x': 1, 'y': 2}))"
    )
    run = [sys.executable, "-c", program]
    assert len({subprocess.run(run, capture_output=True, check=True).stdout for _ in range(6)}) == 1


def test_tensors_and_facts_come_back(file: Path) -> None:
    tensors, facts = read_arrays(file)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert np.array_equal(tensor, tensors[name])
        assert tensor.dtype == tensors[name].dtype


def test_every_truncation_is_noticed(file: Path) -> None:
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_arrays(file)


def test_weights_that_are_not_finite_are_refused(own_folder: Path) -> None:
    (own_folder / "w").write_bytes(serialize_arrays({"a": np.array([1.0, np.nan], np.float32)}, {}))
    with pytest.raises(ModelError, match="a holds numbers that are not finite"):
        read_arrays(own_folder / "w")


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"a": np.zeros(2)}, "b is missing"),
        ({"a": np.zeros(2), "b": np.zeros(1), "c": np.zeros(1)}, "c is not part of the model"),
        ({"a": np.zeros(3), "b": np.zeros(1)}, r"a is .*\(3,\)"),
        ({"a": np.zeros(2, np.float16), "b": np.zeros(1)}, "a is .*float16"),
    ],
)
def test_extra_missing_and_misshapen_tensors_are_named(tensors: dict[str, AnyArray], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        check_arrays(Path("w"), tensors, {"a": (REAL, (2,)), "b": (REAL, (1,))})


def test_a_link_is_not_followed(file: Path, own_folder: Path) -> None:
    (own_folder / "link").symlink_to(file)
    with pytest.raises(ModelError, match="not a regular file"):
        read_arrays(own_folder / "link")


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runtime, "sync", full)
    with pytest.raises(StorageError, match=r"weights\.safetensors: No space left"):
        files.write_file(file, serialize_arrays(TENSORS, {"step": 8}))
    assert file.read_bytes() == before


def test_files_get_the_modes_that_the_umask_leaves(own_folder: Path) -> None:
    before = os.umask(0o022)
    try:
        files.write_file(own_folder / "w", serialize_arrays(TENSORS, FACTS))
    finally:
        os.umask(before)
    assert (own_folder / "w").stat().st_mode & 0o777 == 0o644


def test_a_file_of_very_many_arrays_comes_back(own_folder: Path) -> None:
    """As of many members of many layers: their names alone are more than a megabyte."""
    many = {f"members.{n}.layers.0.kernel.weight_hh_l0": np.zeros(1, np.float32) for n in range(12_000)}
    (own_folder / "w").write_bytes(serialize_arrays(many, FACTS))
    assert len(read_arrays(own_folder / "w")[0]) == 12_000


def test_the_content_is_that_of_safetensors_to_the_byte(file: Path) -> None:
    arrays = {**TENSORS, "ids": np.arange(3, dtype=np.int64), "none": np.zeros((0, 2), np.float32)}
    content = serialize_arrays(arrays, FACTS)
    with safe_open(_written(file, content), "numpy") as opened:
        metadata = opened.metadata()
    assert content == save(arrays, metadata)


@pytest.mark.parametrize("kind", ["bool", "float16", "float64", "int8", "uint16", "uint32", "uint64"])
def test_every_type_that_is_stored_comes_back(file: Path, kind: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=kind)
    (found,) = read_arrays(_written(file, serialize_arrays({"x": array}, FACTS)))[0].values()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
