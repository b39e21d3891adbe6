"""Every character of a text lands in one part, as many as were asked for, however it is cut into blocks."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.data import corpus as corpus_module
from rnncli.data import reading
from rnncli.data.config import ReadConfig, TextConfig
from rnncli.data.corpus import Block, Corpus
from rnncli.data.splits import EndSplit, EverythingIn, LineSplit, Parts, choose_split
from rnncli.errors import ConfigError

TEXTS = st.text("ab \n\r月🙂\u3000", min_size=2, max_size=80)
FRACTIONS = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.79])
BLOCK_SIZES = st.integers(4, 40)
WORDS = "one two three four five six\nseven eight nine ten\neleven twelve\n" * 5


def survey(text: str, block_bytes: int = 48) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block_bytes)
        patch.setattr(corpus_module, "BLOCK_BYTES", block_bytes)
        path = Path(tempfile.mkdtemp(dir=".")).absolute() / "a.txt"
        path.write_bytes(text.encode())
        return Corpus.survey([str(path)], ReadConfig(), path.parent)


def divided(corpus: Corpus, config: TextConfig, valid_given: bool = False) -> Parts:
    """All blocks' parts, put together."""
    split = choose_split(corpus, config, valid_given)
    pieces = [split.parts(passage.block, passage.read()) for passage in corpus.passages()]
    return Parts(*("".join(part) for part in zip(*pieces, strict=True)))


def numbered(lines: int) -> str:
    return "".join(f"{number}\n" for number in range(lines))


def line_counts(parts: Parts) -> tuple[int, ...]:
    return tuple(part.count("\n") for part in parts)


# -- from the end


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS, st.sampled_from([0.0, 0.05, 0.2]))
@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("unit", ["stream", "line"])
def test_train_valid_and_test_follow_one_another(
    level: str, unit: str, text: str, block_bytes: int, valid: float, test: float
) -> None:
    config = TextConfig(level=level, unit=unit, valid_fraction=valid, test_fraction=test)  # type: ignore[arg-type]
    parts = divided(survey(text, block_bytes), config)
    assert "".join(parts) == text
    assert parts == divided(survey(text, 10**6), config)


@pytest.mark.parametrize("length", [2, 10, 11, 99, 1_000, 1_234])
def test_a_tenth_of_the_characters_is_held_out_unless_told_otherwise(length: int) -> None:
    text = ("月光🙂 word\n" * length)[:length]
    train_characters = int(length * 0.9)
    assert divided(survey(text), TextConfig()) == Parts(text[:train_characters], text[train_characters:], "")


@pytest.mark.parametrize(
    ("level", "fraction", "valid_characters"),
    [
        ("char", None, 5_000_000),
        ("byte", None, 2_500_000),
        ("char", 0.1, 20_000_000),
        ("byte", 0.1, 20_000_000),
    ],
)
def test_at_most_five_million_tokens_are_held_out_unless_a_fraction_is_given(
    level: str, fraction: float | None, valid_characters: int
) -> None:
    huge = replace(survey("a\n"), characters=200_000_000, bytes=400_000_000)
    split = choose_split(huge, TextConfig(level=level, valid_fraction=fraction), valid_given=False)  # type: ignore[arg-type]
    assert split == EndSplit(200_000_000 - valid_characters, 200_000_000)


def test_the_test_part_is_the_very_end() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(1_000))
    parts = divided(survey(text), TextConfig(valid_fraction=0.25, test_fraction=0.125))
    assert parts == Parts(text[:625], text[625:875], text[875:])


def test_a_few_characters_are_enough_for_all_parts() -> None:
    assert divided(survey("ab"), TextConfig()) == Parts("a", "b", "")
    assert divided(survey("abc"), TextConfig(test_fraction=0.1)) == Parts("a", "b", "c")
    assert divided(survey("abc"), TextConfig(valid_fraction=0.99)) == Parts("a", "bc", "")


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS)
def test_no_word_is_cut_in_two_at_word_level(text: str, block_bytes: int, valid: float) -> None:
    parts = divided(
        survey(text, block_bytes), TextConfig(level="word", valid_fraction=valid, test_fraction=0.1)
    )
    words = [word for part in parts for word in part.split()]
    assert words == text.split()


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS)
def test_no_line_is_cut_in_two_where_lines_are_samples(text: str, block_bytes: int, valid: float) -> None:
    parts = divided(
        survey(text, block_bytes), TextConfig(unit="line", valid_fraction=valid, test_fraction=0.1)
    )
    assert [line for part in parts for line in part.splitlines()] == text.splitlines()
    assert all(part.endswith("\n") for part in parts[:2] if part and not text.endswith(part))


@pytest.mark.parametrize(("settings_", "mark"), [({"level": "word"}, " \n"), ({"unit": "line"}, "\n")])
@pytest.mark.parametrize("block_bytes", [8, 48, 10**6])
def test_a_part_begins_at_the_first_boundary_after_its_place(
    settings_: dict[str, str], mark: str, block_bytes: int
) -> None:
    config = TextConfig(valid_fraction=0.31, test_fraction=0.17, **settings_)  # type: ignore[arg-type]
    starts = []
    for place in (int(len(WORDS) * (1 - 0.31 - 0.17)), int(len(WORDS) * (1 - 0.17))):
        starts.append(next(start for start in range(place, len(WORDS)) if WORDS[start - 1] in mark))
    split = choose_split(survey(WORDS, block_bytes), config, valid_given=False)
    assert split == EndSplit(*starts)


def test_one_line_of_words_by_a_pattern_has_a_part_held_out() -> None:
    parts = divided(survey(WORDS.replace("\n", " ")), TextConfig(level="word", pattern=r"\w+|[^\w\s]"))
    assert len(parts.valid.split()) >= 3
    assert parts.train + parts.valid == WORDS.replace("\n", " ")


def test_a_part_begins_at_the_last_boundary_where_none_comes_after() -> None:
    assert divided(survey("one two threeeeeeeeeeeeee"), TextConfig(level="word")) == Parts(
        "one two ", "threeeeeeeeeeeeee", ""
    )
    assert divided(survey("a\nlong last line\n"), TextConfig(unit="line")) == Parts(
        "a\n", "long last line\n", ""
    )


@pytest.mark.parametrize("config", [TextConfig(level="word"), TextConfig(unit="line")])
def test_a_text_without_any_boundary_stays_whole(config: TextConfig) -> None:
    assert divided(survey("床前明月光" * 40), config) == Parts("床前明月光" * 40, "", "")


# -- another text held out


@pytest.mark.parametrize("split", ["end", "lines"])
def test_nothing_is_held_out_where_another_text_is(split: str) -> None:
    text = numbered(200)
    given_valid = TextConfig(split=split)  # type: ignore[arg-type]
    assert divided(survey(text), given_valid, valid_given=True) == Parts(text, "", "")
    train, valid, test = divided(survey(text), replace(given_valid, test_fraction=0.1), valid_given=True)
    assert valid == ""
    assert len(train) + len(test) == len(text)
    assert 0 < len(test) < len(text) / 5


@pytest.mark.parametrize("part", Parts._fields)
def test_a_text_given_as_one_part_is_that_part(part: str) -> None:
    parts = EverythingIn(part).parts(Block(9, 14, 9, 2), "a\nb\nc")
    assert parts._asdict() == {**Parts()._asdict(), part: "a\nb\nc"}


# -- lines at random


def drawn(lines: int, **settings_: object) -> Parts:
    return divided(survey(numbered(lines)), TextConfig(split="lines", **settings_))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "valid", "test", "expected"),
    [
        (100, 0.1, 0.0, (90, 10, 0)),
        (1_000, 0.25, 0.125, (625, 250, 125)),
        (1_024, 0.25, 0.5, (256, 256, 512)),
        (5_000, 0.1, 0.05, (4_250, 500, 250)),
        (10, 0.01, 0.01, (8, 1, 1)),
        (2, 0.1, 0.0, (1, 1, 0)),
        # 49 * (1 / 49) is below 1, and 100 * 0.29 below 29.
        (49, 0.01, 0.0, (48, 1, 0)),
        (100, 0.29, 0.0, (71, 29, 0)),
        # The last stretch has one line, which both parts are due.
        (1_025, 0.2, 0.2, (615, 205, 205)),
        (1_025, 0.2, 0.05, (769, 205, 51)),
    ],
)
def test_each_part_has_its_exact_number_of_lines(
    lines: int, valid: float, test: float, expected: tuple[int, int, int]
) -> None:
    assert line_counts(drawn(lines, valid_fraction=valid, test_fraction=test)) == expected


@settings(max_examples=40)
@given(st.lists(st.text("a 月\r\u2028", max_size=9), min_size=1, max_size=40), BLOCK_SIZES, st.booleans())
def test_every_line_is_in_one_part_in_its_order_whole(
    lines: list[str], block_bytes: int, ended: bool
) -> None:
    lines = [f"{number:03} {line}" for number, line in enumerate(lines)]
    text = "\n".join(lines) + "\n" * ended
    config = TextConfig(split="lines", valid_fraction=0.3, test_fraction=0.2)
    parts = divided(survey(text, block_bytes), config)
    found = [part.removesuffix("\n").split("\n") for part in parts if part]
    assert sorted(line for part in found for line in part) == lines
    assert all(part == sorted(part) for part in found)
    assert parts == divided(survey(text, 10**6), config)


def test_a_line_longer_than_a_block_is_not_divided() -> None:
    text = "".join(f"{number} " + "x" * 200 + "\n" for number in range(30))
    config = TextConfig(split="lines", valid_fraction=0.5)
    parts = divided(survey(text, 32), config)
    assert line_counts(parts) == (15, 15, 0)
    assert {len(line.partition(" ")[2]) for part in parts for line in part.splitlines()} == {200}


def test_the_seed_draws_the_lines_again_or_others() -> None:
    first = drawn(300)
    assert drawn(300, split_seed=1) == first
    others = [drawn(300, split_seed=seed) for seed in (0, 2, 2**62 - 1)]
    assert len({first, *others}) == 4
    assert {line_counts(parts) for parts in others} == {line_counts(first)}


def test_held_out_lines_come_from_everywhere() -> None:
    valid = [int(line) for line in drawn(10_240, valid_fraction=0.125).valid.split()]
    assert [sum(number // 1_024 == stretch for number in valid) for stretch in range(10)] == [128] * 10
    assert {number % 1_024 for number in valid[:128]} != {number % 1_024 for number in valid[128:256]}


def test_lines_are_drawn_by_their_number_alone() -> None:
    split = LineSplit(0.5, 0.0, 7, 4)
    whole = split.parts(Block(0, 12, 0, 0), "aa\nbb\ncc\ndd")
    pieces = [split.parts(Block(0, 0, 0, n), line) for n, line in enumerate(["aa\n", "bb\n", "cc\n", "dd"])]
    assert whole == Parts(*("".join(part) for part in zip(*pieces, strict=True)))
    assert (len(whole.train.split()), len(whole.valid.split())) == (2, 2)


# -- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid_fraction": 0.0},
        {"valid_fraction": 1.0},
        {"valid_fraction": float("nan")},
        {"test_fraction": -0.1},
        {"test_fraction": 1.0},
        {"test_fraction": float("nan")},
        {"valid_fraction": 0.5, "test_fraction": 0.5},
        {"split": "middle"},
        {"unit": "page"},
        {"split_seed": -1},
        {"split_seed": 2**62},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TextConfig(**wrong)  # type: ignore[arg-type]
