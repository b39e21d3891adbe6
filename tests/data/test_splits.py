"""Every character of a text is in one split, in the given fractions, whatever the blocks."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rnncli.data import corpus as corpus_module
from rnncli.data import decoding
from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus, TextBlock
from rnncli.data.splits import (
    ConcatenatedIds,
    EndSplitter,
    LineSplitter,
    SingleSplitter,
    SplitBlock,
    SplitTexts,
    make_splitter,
)
from rnncli.errors import ConfigError

TEXTS = st.text("ab \n\r月🙂\u3000", min_size=2, max_size=80)
FRACTIONS = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.79])
BLOCK_SIZES = st.integers(4, 40)
WORDS = "one two three four five six\nseven eight nine ten\neleven twelve\n" * 5


def scan(text: str, block_bytes: int = 48) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK_BYTES", block_bytes)
        patch.setattr(corpus_module, "BLOCK_BYTES", block_bytes)
        path = Path(tempfile.mkdtemp(dir=".")).absolute() / "a.txt"
        path.write_bytes(text.encode())
        return Corpus.scan([str(path)], ReadOptions(), path.parent)


def divided(corpus: Corpus, config: TextConfig, separate_valid: bool = False) -> SplitTexts:
    """Divide all blocks and join the results."""
    split = make_splitter(corpus, config, separate_valid)
    texts = [SplitBlock(block, split).read() for block in corpus.readable_blocks()]
    return SplitTexts(*("".join(split) for split in zip(*texts, strict=True)))


def numbered(lines: int) -> str:
    return "".join(f"{number}\n" for number in range(lines))


def line_counts(splits: SplitTexts) -> tuple[int, ...]:
    return tuple(split.count("\n") for split in splits)


# -- from the end


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS, st.sampled_from([0.0, 0.05, 0.2]))
@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("line_by_line", [False, True])
def test_train_valid_and_test_follow_one_another(
    level: str, line_by_line: bool, text: str, block_bytes: int, valid: float, test: float
) -> None:
    config = TextConfig(level=level, line_by_line=line_by_line, valid_fraction=valid, test_fraction=test)  # type: ignore[arg-type]
    splits = divided(scan(text, block_bytes), config)
    assert "".join(splits) == text
    assert splits == divided(scan(text, 10**6), config)


@pytest.mark.parametrize("length", [2, 10, 11, 99, 1_000, 1_234])
def test_a_tenth_of_the_characters_is_held_out_by_default(length: int) -> None:
    text = ("月光🙂 word\n" * length)[:length]
    train_characters = int(length * 0.9)
    assert divided(scan(text), TextConfig()) == SplitTexts(
        text[:train_characters], text[train_characters:], ""
    )


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
    huge = replace(scan("a\n"), characters=200_000_000, bytes=400_000_000)
    split = make_splitter(huge, TextConfig(level=level, valid_fraction=fraction), separate_valid=False)  # type: ignore[arg-type]
    assert split == EndSplitter(200_000_000 - valid_characters, 200_000_000)


def test_the_test_split_is_the_very_end() -> None:
    text = "".join(chr(0x4E00 + number) for number in range(1_000))
    splits = divided(scan(text), TextConfig(valid_fraction=0.25, test_fraction=0.125))
    assert splits == SplitTexts(text[:625], text[625:875], text[875:])


def test_a_few_characters_are_enough_for_all_parts() -> None:
    assert divided(scan("ab"), TextConfig()) == SplitTexts("a", "b", "")
    assert divided(scan("abc"), TextConfig(test_fraction=0.1)) == SplitTexts("a", "b", "c")
    assert divided(scan("abc"), TextConfig(valid_fraction=0.99)) == SplitTexts("a", "bc", "")


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS)
def test_no_word_is_divided_at_word_level(text: str, block_bytes: int, valid: float) -> None:
    splits = divided(
        scan(text, block_bytes), TextConfig(level="word", valid_fraction=valid, test_fraction=0.1)
    )
    words = [word for split in splits for word in split.split()]
    assert words == text.split()


@settings(max_examples=60)
@given(TEXTS, BLOCK_SIZES, FRACTIONS)
def test_no_line_is_divided_where_lines_are_samples(text: str, block_bytes: int, valid: float) -> None:
    splits = divided(
        scan(text, block_bytes), TextConfig(line_by_line=True, valid_fraction=valid, test_fraction=0.1)
    )
    assert [line for split in splits for line in split.splitlines()] == text.splitlines()
    assert all(split.endswith("\n") for split in splits[:2] if split and not text.endswith(split))


@pytest.mark.parametrize(("settings_", "mark"), [({"level": "word"}, " \n"), ({"line_by_line": True}, "\n")])
@pytest.mark.parametrize("block_bytes", [8, 48, 10**6])
def test_a_split_begins_at_the_first_boundary_after_its_place(
    settings_: dict[str, str], mark: str, block_bytes: int
) -> None:
    config = TextConfig(valid_fraction=0.31, test_fraction=0.17, **settings_)  # type: ignore[arg-type]
    starts = []
    for place in (int(len(WORDS) * (1 - 0.31 - 0.17)), int(len(WORDS) * (1 - 0.17))):
        starts.append(next(start for start in range(place, len(WORDS)) if WORDS[start - 1] in mark))
    split = make_splitter(scan(WORDS, block_bytes), config, separate_valid=False)
    assert split == EndSplitter(*starts)


def test_one_line_of_words_by_a_pattern_has_a_validation_split() -> None:
    splits = divided(scan(WORDS.replace("\n", " ")), TextConfig(level="word", pattern=r"\w+|[^\w\s]"))
    assert len(splits.valid.split()) >= 3
    assert splits.train + splits.valid == WORDS.replace("\n", " ")


def test_a_split_begins_at_the_last_boundary_where_none_comes_after() -> None:
    assert divided(scan("one two threeeeeeeeeeeeee"), TextConfig(level="word")) == SplitTexts(
        "one two ", "threeeeeeeeeeeeee", ""
    )
    assert divided(scan("a\nlong last line\n"), TextConfig(line_by_line=True)) == SplitTexts(
        "a\n", "long last line\n", ""
    )


@pytest.mark.parametrize("config", [TextConfig(level="word"), TextConfig(line_by_line=True)])
def test_a_text_without_any_boundary_stays_whole(config: TextConfig) -> None:
    assert divided(scan("床前明月光" * 40), config) == SplitTexts("床前明月光" * 40, "", "")


# -- another text as validation split


@pytest.mark.parametrize("split", ["end", "lines"])
def test_no_validation_split_is_taken_if_another_text_is_given(split: str) -> None:
    text = numbered(200)
    given_valid = TextConfig(split_method=split)  # type: ignore[arg-type]
    assert divided(scan(text), given_valid, separate_valid=True) == SplitTexts(text, "", "")
    train, valid, test = divided(scan(text), replace(given_valid, test_fraction=0.1), separate_valid=True)
    assert valid == ""
    assert len(train) + len(test) == len(text)
    assert 0 < len(test) < len(text) / 5


@pytest.mark.parametrize("split", SplitTexts._fields)
def test_a_text_given_as_one_split_is_that_part(split: str) -> None:
    splits = SingleSplitter(split).divide(TextBlock(9, 14, 9, 2), "a\nb\nc")
    assert splits._asdict() == {**SplitTexts()._asdict(), split: "a\nb\nc"}


# -- lines at random


def drawn(lines: int, **settings_: object) -> SplitTexts:
    return divided(scan(numbered(lines)), TextConfig(split_method="lines", **settings_))  # type: ignore[arg-type]


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
        # The last segment has one line, which both splits are due.
        (1_025, 0.2, 0.2, (615, 205, 205)),
        (1_025, 0.2, 0.05, (769, 205, 51)),
    ],
)
def test_each_split_has_its_exact_number_of_lines(
    lines: int, valid: float, test: float, expected: tuple[int, int, int]
) -> None:
    assert line_counts(drawn(lines, valid_fraction=valid, test_fraction=test)) == expected


@settings(max_examples=40)
@given(st.lists(st.text("a 月\r\u2028", max_size=9), min_size=1, max_size=40), BLOCK_SIZES, st.booleans())
def test_every_line_is_in_one_split_in_its_order_whole(
    lines: list[str], block_bytes: int, ended: bool
) -> None:
    lines = [f"{number:03} {line}" for number, line in enumerate(lines)]
    text = "\n".join(lines) + "\n" * ended
    config = TextConfig(split_method="lines", valid_fraction=0.3, test_fraction=0.2)
    splits = divided(scan(text, block_bytes), config)
    found = [split.removesuffix("\n").split("\n") for split in splits if split]
    assert sorted(line for split in found for line in split) == lines
    assert all(split == sorted(split) for split in found)
    assert splits == divided(scan(text, 10**6), config)


def test_a_line_longer_than_a_block_is_not_divided() -> None:
    text = "".join(f"{number} " + "x" * 200 + "\n" for number in range(30))
    config = TextConfig(split_method="lines", valid_fraction=0.5)
    splits = divided(scan(text, 32), config)
    assert line_counts(splits) == (15, 15, 0)
    assert {len(line.partition(" ")[2]) for split in splits for line in split.splitlines()} == {200}


def test_the_seed_draws_the_lines_again_or_others() -> None:
    first = drawn(300)
    assert drawn(300, split_seed=1) == first
    others = [drawn(300, split_seed=seed) for seed in (0, 2, 2**62 - 1)]
    assert len({first, *others}) == 4
    assert {line_counts(splits) for splits in others} == {line_counts(first)}


def test_validation_lines_come_from_everywhere() -> None:
    valid = [int(line) for line in drawn(10_240, valid_fraction=0.125).valid.split()]
    assert [sum(number // 1_024 == segment for number in valid) for segment in range(10)] == [128] * 10
    assert {number % 1_024 for number in valid[:128]} != {number % 1_024 for number in valid[128:256]}


def test_lines_are_drawn_by_their_number_alone() -> None:
    split = LineSplitter(0.5, 0.0, 7, 4)
    whole = split.divide(TextBlock(0, 12, 0, 0), "aa\nbb\ncc\ndd")
    texts = [
        split.divide(TextBlock(0, 0, 0, n), line) for n, line in enumerate(["aa\n", "bb\n", "cc\n", "dd"])
    ]
    assert whole == SplitTexts(*("".join(split) for split in zip(*texts, strict=True)))
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
        {"split_method": "middle"},
        {"line_by_line": "page"},
        {"split_seed": -1},
        {"split_seed": 2**62},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TextConfig(**wrong)  # type: ignore[arg-type]


lists = st.lists(st.lists(st.integers(0, 60_000), max_size=6), min_size=1, max_size=5)


def both(shards: list[list[int]]) -> tuple[ConcatenatedIds, np.ndarray]:
    arrays = [np.array(shard, np.uint16) for shard in shards]
    return ConcatenatedIds(arrays), np.concatenate(arrays)


@given(lists)
def test_the_length_is_that_of_all_arrays(shards: list[list[int]]) -> None:
    joined, whole = both(shards)
    assert len(joined) == len(whole)


@given(lists, st.none() | st.integers(-35, 35), st.none() | st.integers(-35, 35))
def test_slices_are_those_of_one_array(shards: list[list[int]], start: int | None, stop: int | None) -> None:
    joined, whole = both(shards)
    found = joined[start:stop]
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[start:stop])


@given(lists.filter(lambda shards: sum(map(len, shards)) > 0), st.data())
def test_positions_of_any_shape_are_those_of_one_array(shards: list[list[int]], data: st.DataObject) -> None:
    joined, whole = both(shards)
    shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    inside = st.integers(-len(whole), len(whole) - 1)
    positions = np.asarray(data.draw(npst.arrays(np.int64, shapes, elements=inside)))
    found = joined[positions]
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[positions])


def test_a_position_behind_the_end_is_refused_as_by_one_array() -> None:
    joined, whole = both([[1, 2], [3]])
    for position in (3, -4):
        with pytest.raises(IndexError):
            whole[np.array([position])]
        with pytest.raises(IndexError):
            joined[np.array([position])]


def test_arrays_without_ids_are_an_array_without_ids() -> None:
    joined, whole = both([[], []])
    assert len(joined) == 0
    assert joined[:].dtype == whole.dtype
    assert joined[:5].shape == joined[np.zeros(0, np.int64)].shape == (0,)
