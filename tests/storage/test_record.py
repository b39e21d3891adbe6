"""Names that can be folders on every system, so that a model can be copied to any."""

import pytest

from rnncli.errors import ConfigError
from rnncli.storage.record import checked_name, free_name


@pytest.mark.parametrize(
    "name", ["novel", "novel-2", "诗", "a.b", "con2", "cons", "auxiliary", "com", "x.con"]
)
def test_a_name_that_every_system_takes_is_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["con", "CON", "prn", "aux", "nul", "Nul.txt", "com1", "COM9.a.b", "lpt1", "lpt\u00b9", "novel.", "con."],
)
def test_a_name_that_windows_reserves_is_refused_with_one_that_it_does_not(name: str) -> None:
    with pytest.raises(ConfigError, match="Windows reserves it") as caught:
        checked_name(name)
    proposed = caught.value.hint.rpartition(" ")[2]
    assert checked_name(proposed) == proposed


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", r"a\b", "C:x", "x" * 101])
def test_a_name_that_is_no_folder_under_models_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid model name"):
        checked_name(name)


@pytest.mark.parametrize("title", ["con", "NUL", "lpt9"])
def test_a_text_with_a_reserved_name_gives_its_model_another(title: str) -> None:
    assert checked_name(free_name(title)) == f"{title}-model"
