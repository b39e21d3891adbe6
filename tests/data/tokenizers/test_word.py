"""Word tokenizers split at whitespace or by a pattern, and keep the most frequent words."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rnncli.data.config import TextConfig
from rnncli.data.tokenizers.base import Tokenizer, decode, fingerprint
from rnncli.data.tokenizers.serialization import from_json
from rnncli.data.tokenizers.word import WordTokenizer, words_of_lines
from rnncli.errors import ConfigError, TokenizerError

CORPUS = "a rose is a rose\nis a rose\n"
SMILES = r"\[[^\]]+]|Br|Cl|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>>?|\*|\$|%\d\d|\d"
PATTERNS = [SMILES, r"\w+|[^\w\s]", r"x*", r"\b", r"(?=a)", r"(a)(b)?", "月", r"$", r"[^\n]*", r"\s+"]


def trained(text: str, vocab_size: int | None = None, pattern: str | None = None) -> WordTokenizer:
    return WordTokenizer.train(
        Counter(chain.from_iterable(words_of_lines(text, pattern))), vocab_size, pattern
    )


def all_known(text: str, pattern: str | None) -> WordTokenizer:
    return trained(text, len(text) + 3, pattern)


def streamed(tokenizer: Tokenizer, text: str) -> str:
    decoder = tokenizer.decode_stream()
    return "".join(decoder.push(int(token)) for token in tokenizer.encode(text)) + decoder.finish()


def tokens_of(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.id_to_token(token) for token in range(tokenizer.vocab_size)]


# -- between white space


def test_a_line_end_is_eos_and_other_spaces_only_split_words() -> None:
    tokenizer = trained("a b", 4)
    assert tokenizer.encode("a  b\n\n\tb\r\na\u2028b").tolist() == [2, 3, 1, 1, 3, 1, 2, 3]


@given(st.lists(st.lists(st.sampled_from(["a", "bé", "月", "..."]), min_size=1)))
def test_word_gives_lines_of_single_spaces_back(lines: list[list[str]]) -> None:
    text = "".join(" ".join(line) + "\n" for line in lines)
    tokenizer = trained("a bé 月 ...\n", 6)
    assert decode(tokenizer, tokenizer.encode(text)) == text
    assert streamed(tokenizer, text) == text


def test_a_word_decoder_knows_what_it_goes_on_from() -> None:
    tokenizer = trained("a b", 4)
    eos, a, b = 1, 2, 3
    assert tokenizer.decode_stream().push(a) == "a"
    assert tokenizer.decode_stream([a]).push(b) == " b"
    assert tokenizer.decode_stream([a, eos]).push(b) == "b"
    decoder = tokenizer.decode_stream([a])
    assert [decoder.push(token) for token in (b, eos, a, eos, eos, a)] == [" b", "\n", "a", "\n", "\n", "a"]


# -- the vocabulary


def test_the_most_frequent_words_are_kept_and_ties_are_in_code_point_order() -> None:
    tokenizer = trained("d d d b b 月 月 a a c\nc e", 6)
    assert tokens_of(tokenizer) == ["<unk>", "<eos>", "d", "a", "b", "c"]
    assert tokenizer.oov_tokens("e 月 a e\n") == ["e", "月"]
    assert tokenizer.encode("e a 月").tolist() == [tokenizer.unk_id, 3, tokenizer.unk_id]


@pytest.mark.parametrize("size", [3, 7, 100])
def test_a_vocabulary_size_is_exact(size: int) -> None:
    assert trained(" ".join(f"w{number}" for number in range(98)) + "\n", size).vocab_size == size


def test_a_text_with_fewer_words_gives_a_smaller_vocabulary() -> None:
    assert trained(CORPUS, 1000).vocab_size == 5


def test_without_a_size_words_seen_once_teach_unknown() -> None:
    tokenizer = trained("a a b b once\n")
    assert tokenizer.vocab_size == 4
    assert tokenizer.oov_tokens("a b once") == ["once"]


def test_without_a_size_twenty_thousand_words_are_the_most() -> None:
    counts = {f"w{number}": 2 for number in range(20_100)}
    assert WordTokenizer.train(counts, None).vocab_size == 20_000


def test_a_hundred_thousand_words_do_not_wrap() -> None:
    tokenizer = WordTokenizer.train({f"w{number:06}": 1 for number in range(100_000)}, 4_000_000)
    ids = tokenizer.encode("w000000 w065534 w065535 w099999\nw100000")
    assert ids.dtype == np.uint32
    assert ids.tolist() == [2, 65_536, 65_537, 100_001, 1, 0]
    assert decode(tokenizer, ids[:5]) == "w000000 w065534 w065535 w099999\n"


def test_a_text_with_its_own_marks_uses_them() -> None:
    tokenizer = trained("the <unk> sat <eos>\nonce <unk> <s> <unk>\n")
    assert tokens_of(tokenizer) == ["<unk>", "<eos>", "<s>", "once", "sat", "the"]
    assert tokenizer.encode("the <unk> <s> <eos>").tolist() == [5, 0, 2, 1]
    assert tokenizer.oov_tokens("<unk> <eos>\n") == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["<unk>"],
        ["<eos>", "<unk>", "a"],
        ["a", "<unk>", "<eos>"],
        ["<unk>", "<eos>", "a", "b", "a"],
        ["<unk>", "<eos>", "<unk>"],
    ],
)
def test_a_word_table_begins_with_its_marks_and_has_each_word_once(words: list[str]) -> None:
    with pytest.raises(TokenizerError, match="word list"):
        WordTokenizer(words)


# -- by a pattern

fragments = st.sampled_from(
    ["a", "ab", " ", "  ", "\t", "\r\n", "\n", "\0", "月", "[nH]", "Cl", "<unk", "c1ccccc1"]
)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text() | st.lists(fragments | st.text(max_size=2)).map("".join))
def test_with_a_pattern_a_text_of_known_words_comes_back(pattern: str, text: str) -> None:
    assume("<unk>" not in text and "<eos>" not in text)
    tokenizer = all_known(text, pattern)
    ids = tokenizer.encode(text)
    assert 0 not in ids
    assert decode(tokenizer, ids) == text
    assert streamed(tokenizer, text) == text
    assert tokenizer.oov_tokens(text) == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_with_a_pattern_hard_strings_come_back(pattern: str, hard_string: str) -> None:
    text = hard_string.replace("<eos>", "<end>")  # see the test below
    tokenizer = all_known(text, pattern)
    assert decode(tokenizer, tokenizer.encode(text)) == text


def test_with_a_pattern_the_name_of_the_line_end_is_unknown_and_ends_no_line() -> None:
    text = "a <eos> b\n"
    tokenizer = all_known(text, r"\S+")
    assert decode(tokenizer, tokenizer.encode(text)) == "a <unk> b\n"
    assert tokenizer.oov_tokens(text) == ["<eos>"]


def test_a_molecule_is_tokenized_into_atoms_and_bonds() -> None:
    molecule = "CC(=O)O[C@@H](Cl)Br"
    assert list(words_of_lines(molecule, SMILES)) == [
        ["CC", "(", "=", "O", ")", "O", "[C@@H]", "(", "Cl", ")", "Br"]
    ]


def test_what_lies_between_two_matches_is_a_word_too() -> None:
    assert list(words_of_lines("--ab  cd!\n!e", r"[a-z]+")) == [["--", "ab", "  ", "cd", "!"], ["!", "e"]]


def test_an_empty_match_cuts_and_is_no_word() -> None:
    assert list(words_of_lines("abXcdX", r"(?=X)")) == [["ab", "Xcd", "X"]]
    assert list(words_of_lines("ab c\n\n", r"\b")) == [["ab", " ", "c"], [], []]


def test_a_pattern_sees_one_line_at_a_time() -> None:
    assert list(words_of_lines("a\nb", r"(?s)a.b|\n")) == [["a"], ["b"]]


def test_a_line_end_is_eos_with_a_pattern_too() -> None:
    tokenizer = all_known("a b\n", r"\w")
    assert [tokenizer.id_to_token(int(token)) for token in tokenizer.encode("b a\n\n")] == [
        "b",
        " ",
        "a",
        "<eos>",
        "<eos>",
    ]


def test_words_outside_the_table_are_unknown_with_a_pattern_too() -> None:
    tokenizer = all_known("a b\n", r"\w+")
    assert tokenizer.oov_tokens("a c\tb\n") == ["c", "\t"]
    assert np.count_nonzero(tokenizer.encode("a c\tb\n") == tokenizer.unk_id) == 2


@pytest.mark.parametrize("pattern", ["(", "[", "*", r"(?P<a", "a{2,1}", r"\1", "a{99999999999999999999}"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="not a regular expression"):
        TextConfig("word", pattern=pattern)


@pytest.mark.parametrize("pattern", ["", "a" * 1001])
def test_a_pattern_is_neither_empty_nor_a_book(pattern: str) -> None:
    with pytest.raises(ConfigError, match="characters"):
        TextConfig("word", pattern=pattern)


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_a_pattern_belongs_to_the_word_level(level: str) -> None:
    with pytest.raises(ConfigError, match=f"no meaning at {level} level"):
        TextConfig(level, pattern="a")  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", [None, *PATTERNS])
def test_a_pattern_is_kept_on_disk(pattern: str | None) -> None:
    text = "CC(=O)O ab 月 x\n"
    tokenizer = all_known(text, pattern)
    again = from_json(tokenizer.to_bytes())
    assert again.to_bytes() == tokenizer.to_bytes()
    np.testing.assert_array_equal(again.encode(text), tokenizer.encode(text))


def test_tokenizers_of_another_pattern_have_another_fingerprint() -> None:
    words = ["<unk>", "<eos>", "a"]
    prints = {fingerprint(WordTokenizer(words, pattern)) for pattern in (None, "a", "b")}
    assert len(prints) == 3
