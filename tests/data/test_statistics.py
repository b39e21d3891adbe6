"""A report counts what is there, and recommends a level for a reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.data.config import TextConfig
from rnncli.data.statistics import default_level, describe_corpus, has_few_spaces
from rnncli.events import CorpusReport
from tests.data.conftest import VERSE, scanned

CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。\n"
CORPUS = "a rose is a rose\nis a rose\n"
Described = Callable[..., CorpusReport]


@pytest.fixture
def described(own_folder: Path) -> Described:
    def make(text: str, valid: str | None = None, thorough: bool = False, **settings: object) -> CorpusReport:
        corpus = scanned(text, own_folder / "text.txt")
        held_out = None if valid is None else scanned(valid, own_folder / "held-out.txt")
        return describe_corpus(corpus, TextConfig(**settings), held_out, thorough)  # type: ignore[arg-type]

    return make


def numbered(count: int) -> str:
    return "".join(f"line number {number} of many\n" for number in range(count))


def test_a_report_counts_the_whole_text(described: Described) -> None:
    report = described("é b月\n" * 30)
    assert (report.name, report.encoding) == ("text.txt", "utf-8")
    assert (report.characters, report.lines, report.bytes, report.disk_bytes) == (150, 30, 240, 240)
    assert (report.distinct_characters, report.han_characters) == (5, 30)
    assert report.sample_characters == 150


@pytest.mark.parametrize(
    ("text", "han"),
    [(CHINESE, 20), ("㐀鿿豈𠀀𰀀", 5), ("ひらがなカタカナ한글、。ABC", 0), ("々〇", 0)],
    ids=["verse", "edges of blocks", "others", "marks"],
)
def test_han_characters_are_ideographs_alone(described: Described, text: str, han: int) -> None:
    assert described(text * 9).han_characters == 9 * han


def test_the_rarest_characters_are_named(described: Described) -> None:
    report = described("a" * 50 + "bb" + "é" + "\0" + "\U000f0000")
    assert [(entry.character, entry.count, entry.code_point, entry.name) for entry in report.rare] == [
        ("\U000f0000", 1, "U+F0000", "unnamed"),
        ("é", 1, "U+00E9", "LATIN SMALL LETTER E WITH ACUTE"),
        ("\0", 1, "U+0000", "unnamed"),
        ("b", 2, "U+0062", "LATIN SMALL LETTER B"),
        ("a", 50, "U+0061", "LATIN SMALL LETTER A"),
    ]
    assert [entry.character for entry in report.frequent] == ["a", "b", "\0", "é", "\U000f0000"]


def test_no_more_characters_are_shown_than_can_be_read(described: Described) -> None:
    report = described("".join(map(chr, range(0x4E00, 0x4E00 + 500))) + "丕" * 5)
    assert len(report.rare) == len(report.frequent) == 20
    assert (report.frequent[0].character, report.frequent[0].count) == ("丕", 6)


def test_duplicate_lines_repeat_an_earlier_one(described: Described) -> None:
    assert described("a b c d e\n" * 4).duplicate_lines == 0.75
    assert described(numbered(40)).duplicate_lines == 0
    assert described("one\n\n\n \nthree\none\n\nfour\n").duplicate_lines == 0.25, "empty ones do not count"
    assert described("\n" * 40).duplicate_lines is None


def test_validation_lines_in_the_training_split_are_a_share(described: Described) -> None:
    text = numbered(40)
    assert described(text, valid="line number 3 of many\n" * 2).valid_lines_in_train == 1
    assert described(text, valid="line number 3 of many\n\nanother one\n").valid_lines_in_train == 0.5
    assert described(text, valid="another one\n").valid_lines_in_train == 0
    assert described(text, split_method="lines").valid_lines_in_train == 0
    assert described("the same line\n" * 40, split_method="lines").valid_lines_in_train == 1
    assert described(text, valid="\n\n").valid_lines_in_train is None


def test_an_empty_validation_text_is_described(described: Described) -> None:
    assert described(numbered(40), valid="").valid_lines_in_train is None


def test_growth_doubles_the_words_and_counts_the_distinct_ones(described: Described) -> None:
    report = described("a b a c a d a e a f a g a h a i")
    assert report.growth_unit == "word"
    assert report.growth == ((1, 1), (2, 2), (4, 3), (8, 5), (16, 9))


def test_growth_is_of_characters_where_spaces_are_few(described: Described) -> None:
    report = described(CHINESE * 8)
    assert report.growth_unit == "character"
    assert report.growth[-1] == (len(CHINESE) * 8, len(set(CHINESE)))
    assert [read for read, _ in report.growth] == sorted(read for read, _ in report.growth)


def test_growth_is_of_the_words_of_the_pattern(described: Described) -> None:
    assert described("abab" * 8, level="word", pattern="[ab]").growth[-1] == (32, 2)


def test_a_thorough_report_compares_the_levels(described: Described) -> None:
    text = VERSE.replace("more", "é")
    report = described(text, thorough=True)
    char, byte, word, subword = report.levels
    assert [row.level for row in report.levels] == ["char", "byte", "word", "subword"]
    assert (char.vocab_size, char.tokens) == (1 + len(set(text)), len(text))
    assert (byte.vocab_size, byte.tokens) == (256, len(text.encode()))
    assert (word.vocab_size, word.tokens) == (
        len(set(text.split())) + 2,
        len(text.split()) + text.count("\n"),
    )
    assert subword.vocab_size <= 512
    assert word.tokens * 0.5 < subword.tokens < char.tokens
    for row in report.levels:
        assert row.characters_per_token == pytest.approx(len(text) / row.tokens)
    assert described(text).levels == ()


def test_a_long_text_is_sampled_to_its_end_and_scaled(
    described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.data.corpus.BLOCK_BYTES", 1000)
    monkeypatch.setattr("rnncli.data.decoding.BLOCK_BYTES", 1000)
    monkeypatch.setattr("rnncli.data.statistics.THOROUGH_CHARACTERS", 8000)
    text = numbered(2000)
    report = described(text, thorough=True)
    assert 4000 < report.sample_characters < 12_000
    assert report.characters == len(text)
    assert report.valid_lines_in_train == 0, "the end of the text, the validation split, is in the sample"
    word = report.levels[2]
    assert word.tokens == pytest.approx(len(text.split()) + text.count("\n"), rel=0.05)


def test_a_text_of_line_ends_alone_is_described_thoroughly(described: Described) -> None:
    assert described("\n" * 40, thorough=True).lines == 40


# -- recommendations


def test_a_text_that_marks_unknown_words_is_for_words(described: Described) -> None:
    report = described("no it was n't <unk> monday\n" * 20, thorough=True)
    assert (report.level, report.vocab_size) == ("word", None)
    assert "marks its out-of-vocabulary words" in report.reasons[0]


def test_a_long_text_is_for_subwords(described: Described, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnncli.data.statistics.CHARACTERS_READ_IN_MINUTES", 1000)
    report = described(VERSE, thorough=True)
    assert (report.level, report.vocab_size) == ("subword", 512)
    assert "too few epochs" in report.reasons[0]


def test_other_texts_are_for_characters(described: Described) -> None:
    report = described(CHINESE * 8, thorough=True)
    assert (report.level, report.vocab_size) == ("char", None)
    assert "not separated by spaces" in report.reasons[0]
    report = described(VERSE, thorough=True)
    assert (report.level, report.vocab_size) == ("char", None)
    assert "nothing is out of vocabulary" in report.reasons[0]


def test_the_level_is_left_to_the_plan_of_a_training(described: Described) -> None:
    report = described(VERSE)
    assert (report.level, report.vocab_size, report.reasons) == (None, None, ())


def test_many_short_lines_that_all_differ_may_be_samples(described: Described) -> None:
    assert any("--line-by-line" in reason for reason in described(numbered(1000)).reasons)
    for text in (
        numbered(999),
        numbered(999) + "line number 3 of many\n",
        numbered(1000).replace("of", "of" * 30),
    ):
        assert not any("--line-by-line" in reason for reason in described(text).reasons)


def test_validation_lines_are_sought_beyond_the_sample(
    described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("corpus", "decoding"):
        monkeypatch.setattr(f"rnncli.data.{module}.BLOCK_BYTES", 256)
    for limit in ("QUICK_CHARACTERS", "THOROUGH_CHARACTERS"):
        monkeypatch.setattr(f"rnncli.data.statistics.{limit}", 300)
    text = "the first line\n" + numbered(200)
    held_out = "the first line\nno such line\n"
    report = described(text, valid=held_out, thorough=True)
    assert report.sample_characters < len(text)
    assert report.valid_lines_in_train == 0.5
    assert described(text, valid=held_out).valid_lines_in_train is None


def test_a_text_with_unknown_words_is_tokenized_by_default_into_words() -> None:
    assert default_level(" no it was n't <unk> monday \n") == "word"
    assert default_level("<unk>") == "word"
    assert default_level("one\n<unk>\ntwo") == "word"


@pytest.mark.parametrize("text", ["", " \n", CORPUS, "see <unk>, or x<unk> and <unk>y", "<UNK> unk < unk >"])
def test_a_text_without_them_is_tokenized_by_default_into_characters(text: str) -> None:
    assert default_level(text) == "char"


def test_one_word_in_500_has_to_be_unknown() -> None:
    assert default_level("word " * 499 + "<unk>") == "word"
    assert default_level("word " * 500 + "<unk>") == "char"


@pytest.mark.parametrize("text", ["床前明月光，疑是地上霜。举头望明月，低头思故乡。\n" * 20, "a" * 16])
def test_spaces_are_scarce_where_they_split_phrases(text: str) -> None:
    assert has_few_spaces(text)


@pytest.mark.parametrize(
    "text", ["", " \n", CORPUS, "Donaudampfschifffahrt is long, and most words are not\n", "a" * 15]
)
def test_spaces_are_not_scarce_where_they_split_words(text: str) -> None:
    assert not has_few_spaces(text)
