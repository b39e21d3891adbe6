"""Names in a manifest, which may be untrusted, never lead out of its folder on any system."""

import hashlib
import json
from pathlib import Path

import pytest

from rnncli.errors import ModelError
from rnncli.storage.manifest import MANIFEST, Manifest


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "..",
        r"..\x",
        r"a\..\..\x",
        "C:x",
        "C:/x",
        r"C:\x",
        r"\\host\share\x",
        "a\0b",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(own_folder: Path, name: str) -> None:
    files = {name: [[1, "0" * 64]]}
    sha256 = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    (own_folder / MANIFEST).write_text(json.dumps({"files": files, "sha256": sha256}), encoding="utf-8")
    with pytest.raises(ModelError, match="a name leads out of the folder"):
        Manifest.read(own_folder)


def test_names_have_forward_slashes(own_folder: Path) -> None:
    (own_folder / "inner").mkdir()
    (own_folder / "inner" / "file").write_bytes(b"1")
    Manifest.of(own_folder).write(own_folder)
    assert list(Manifest.read(own_folder).files) == ["inner/file"]


def test_a_folder_without_a_manifest_is_refused(own_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        Manifest.read(own_folder)
