"""The level that suits a text shows in its unknown words and its blanks."""

import pytest

from rnncli.data.levels import natural_level, spaces_are_scarce

CORPUS = "a rose is a rose\nis a rose\n"


def test_a_text_with_unknown_words_is_naturally_cut_into_words() -> None:
    assert natural_level(" no it was n't <unk> monday \n") == "word"
    assert natural_level("<unk>") == "word"
    assert natural_level("one\n<unk>\ntwo") == "word"


@pytest.mark.parametrize("text", ["", " \n", CORPUS, "see <unk>, or x<unk> and <unk>y", "<UNK> unk < unk >"])
def test_a_text_without_them_is_naturally_cut_into_characters(text: str) -> None:
    assert natural_level(text) == "char"


def test_one_word_in_500_has_to_be_unknown() -> None:
    assert natural_level("word " * 499 + "<unk>") == "word"
    assert natural_level("word " * 500 + "<unk>") == "char"


@pytest.mark.parametrize("text", ["床前明月光，疑是地上霜。举头望明月，低头思故乡。\n" * 20, "a" * 16])
def test_spaces_are_scarce_where_they_part_phrases(text: str) -> None:
    assert spaces_are_scarce(text)


@pytest.mark.parametrize(
    "text", ["", " \n", CORPUS, "Donaudampfschifffahrt is long, and most words are not\n", "a" * 15]
)
def test_spaces_are_not_scarce_where_they_part_words(text: str) -> None:
    assert not spaces_are_scarce(text)
