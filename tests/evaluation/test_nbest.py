"""Lists, scores and references of speech tools: every hypothesis keeps its name and its place."""

import pytest

from rnncli.data.reading import Text
from rnncli.errors import CorpusError
from rnncli.evaluation.nbest import ListFormat, NBest, parse_list, parse_references, parse_scores

KALDI = "b-x-1 the cat sat\nb-x-2 the cat\na-1\nb-x-10  the  hat \n"


def text(content: str) -> Text:
    return Text((content,), "a.txt", "utf-8")


def hypotheses(content: str = KALDI, form: ListFormat = "kaldi") -> NBest:
    return parse_list(text(content), form)


def test_a_list_of_kaldi_names_its_hypotheses() -> None:
    found = hypotheses()
    assert found.names == ("b-x-1", "b-x-2", "a-1", "b-x-10")
    assert found.texts == ("the cat sat", "the cat", "", "the  hat")
    assert found.utterances == ("b-x", "a")
    assert found.utterance.tolist() == [0, 0, 1, 0]


def test_a_plain_list_names_the_utterance_every_time() -> None:
    found = hypotheses("7 a b\n7 a\n8 c\n7 b", "nbest")
    assert found.utterances == ("7", "8")
    assert found.utterance.tolist() == [0, 0, 1, 0]


def test_costs_are_found_by_name_in_any_order() -> None:
    costs = parse_scores(
        text("a-1 3\nb-x-10 -1e3\nb-x-1\t0.5\nother-1 9\nb-x-2 1e10\n"), "kaldi", hypotheses()
    )
    assert costs.tolist() == [0.5, 1e10, 3.0, -1000.0]


def test_logarithms_in_order_become_costs_in_nats() -> None:
    plain = hypotheses("7 a\n7 b\n", "nbest")
    assert parse_scores(text("-1\n-0.5"), "nbest", plain).tolist() == pytest.approx([2.302585, 1.151293])


def test_references_are_found_by_name() -> None:
    assert parse_references(text("a\nb-x the  cat sat\n"), hypotheses()) == ["the  cat sat", ""]


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("", "kaldi", "a.txt has no hypotheses"),
        ("a-1 x\n\na-2 y\n", "kaldi", "line 2 of a.txt has no name"),
        ("a-1 x\nb y\n", "kaldi", 'a.txt has b without a "-1" at the end of its name'),
        ("a-1 x\na-1 y\n", "kaldi", "a.txt has a-1 twice"),
        ("a-one x\na-two y\n", "kaldi", "a.txt has a-one without"),
        (" \n", "nbest", "line 1 of a.txt has no name"),
    ],
)
def test_a_list_that_is_none_is_refused(content: str, form: ListFormat, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        hypotheses(content, form)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("b-x-1 1\nb-x-2 1\na-1 1\n", "kaldi", "a.txt has no score of b-x-10"),
        ("b-x-1 one\n", "kaldi", "line 1 of a.txt has no score: 'one'"),
        ("b-x-1\n", "kaldi", "line 1 of a.txt has no score: ''"),
        ("b-x-1 nan\n", "kaldi", "line 1 of a.txt has no score: 'nan'"),
        ("b-x-1 -inf\n", "kaldi", "line 1 of a.txt has no score: '-inf'"),
        ("b-x-1 1\nb-x-1 2\n", "kaldi", "a.txt has b-x-1 twice"),
        ("1\n2\n", "nbest", "a.txt has 2 scores for 4 hypotheses"),
    ],
)
def test_a_hypothesis_without_a_score_is_named(content: str, form: ListFormat, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        parse_scores(text(content), form, hypotheses())
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a x\n", "a.txt does not say what b-x is"),
        ("a x\nb-x y\nc z\n", "the list has no hypothesis of c"),
        ("a x\na y\n", "a twice"),
    ],
)
def test_lists_and_references_are_of_the_same_utterances(content: str, message: str) -> None:
    with pytest.raises(CorpusError) as error:
        parse_references(text(content), hypotheses())
    assert message in str(error.value)
