"""Pieces of a text between which a model forgets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.config import Reset
from rnncli.data.segments import encode_segments, segments
from rnncli.data.tokenizers.base import CharTokenizer, WordTokenizer, decode

RULES: list[Reset] = ["never", "line", "sentence", "document"]
TEXTS = st.text(st.sampled_from("ab .!?。！”\"'\n\r…"), max_size=40)


@given(TEXTS, st.sampled_from(RULES))
def test_pieces_make_up_the_text(text: str, rule: Reset) -> None:
    pieces = segments([text], rule)
    assert "".join(pieces) == text
    assert all(pieces)
    if text:
        tokenizer = CharTokenizer.of(text)
        ids, starts = encode_segments(tokenizer, [text], rule)
        assert decode(tokenizer, ids) == text
        assert (starts is None) == (rule == "never")
        if starts is not None:
            lengths = np.diff(np.append(starts, len(ids)))
            assert lengths.tolist() == [len(piece) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It rains. It pours!", ["It rains. ", "It pours!"]),
        ("“Really?” she said.\nNo.", ["“Really?” ", "she said.\n", "No."]),
        ("He paid 3.50 for it... Then", ["He paid 3.50 for it... ", "Then"]),
        ("床前明月光。疑是地上霜！”舉頭", ["床前明月光。", "疑是地上霜！”", "舉頭"]),
        ("no mark\n\nat all", ["no mark\n\n", "at all"]),
        ("", []),
    ],
)
def test_sentences_end_with_their_marks(text: str, pieces: list[str]) -> None:
    assert segments([text], "sentence") == pieces


def test_documents_are_the_texts_that_were_read() -> None:
    assert segments(["a. b\n", "", "c"], "document") == ["a. b\n", "c"]
    ids, starts = encode_segments(CharTokenizer.of("abc"), ["ab", "", "c"], "document")
    assert (ids.tolist(), starts.tolist() if starts is not None else None) == ([1, 2, 3], [0, 2])


def test_lines_keep_their_ends_and_words_their_marks() -> None:
    assert segments(["a\n\nb"], "line") == ["a\n", "\n", "b"]
    words = WordTokenizer(["<unk>", "<eos>", "a", "b"])
    ids, starts = encode_segments(words, ["a b\n\nb"], "line")
    assert ids.tolist() == [2, 3, 1, 1, 3]
    assert starts is not None
    assert starts.tolist() == [0, 3, 4]
