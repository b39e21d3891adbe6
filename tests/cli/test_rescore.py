"""N-best lists through the real command: no name is lost, and the better hypothesis is found."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import TINY, Command

SAID = ["the rain came down", "a lamp was lit", "a page was turned", "the kitten sat beside the door"]


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> Command:
    settings = [setting if setting != "6" else "200" for setting in TINY]
    ran = rnncli("train", rhyme, "--name", "m", *settings)
    assert ran.code == 0, ran.err
    return rnncli


@pytest.fixture
def lists(own_folder: Path) -> tuple[list[str], dict[str, float]]:
    """Hypotheses of four utterances, in no order, with costs of a judge who mostly errs."""
    rng = np.random.default_rng(0)
    rows, costs = [], {}
    for number, said in enumerate(SAID):
        mismatches = ["".join(rng.permutation(list(said)).tolist()).strip() for _ in range(4)]
        for place, text in enumerate([*mismatches[:2], said, *mismatches[2:]], 1):
            name = f"utt-{number}-{place}"
            rows.append(f"{name} {text}")
            costs[name] = round(float(rng.normal(0.5 + 0.5 * (text == said), 0.3)), 3)
    rows = [rows[place] for place in rng.permutation(len(rows))]
    (own_folder / "list.txt").write_text("\n".join(rows) + "\n")
    (own_folder / "acoustic.txt").write_text("".join(f"{name} {costs[name]}\n" for name in sorted(costs)))
    (own_folder / "said.txt").write_text("".join(f"utt-{at} {said}\n" for at, said in enumerate(SAID)))
    return [row.split(" ")[0] for row in rows], costs


def test_every_hypothesis_has_its_total_in_its_place(
    model: Command, lists: tuple[list[str], dict[str, float]]
) -> None:
    names, costs = lists
    own = dict(line.split("\t") for line in model("score", "list.txt", "--format", "kaldi").out.splitlines())
    ran = model("rescore", "list.txt", "--scores", "acoustic.txt", "--weights", "2,0.5,0.25", "--all")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [name for name, _ in rows] == names == list(own)
    words = {line.split(" ")[0]: len(line.split()) - 1 for line in Path("list.txt").read_text().splitlines()}
    for name, total in rows:
        expected = 2 * costs[name] + 0.5 * float(own[name]) + 0.25 * words[name]
        assert float(total) == pytest.approx(expected, abs=1e-4)


def test_the_model_finds_what_was_said(model: Command, lists: tuple[list[str], dict[str, float]]) -> None:
    said = Path("said.txt").read_text().splitlines()
    ran = model("rescore", "list.txt", "--scores", "acoustic.txt")
    assert sorted(ran.out.splitlines()) == said
    assert "--weights 1,1,0" in ran.err
    deaf = model("rescore", "list.txt", "--scores", "acoustic.txt", "--weights", "1,0,0")
    assert sorted(deaf.out.splitlines()) != said


def test_weights_are_found_where_it_is_known_what_was_said(
    model: Command, lists: tuple[list[str], dict[str, float]]
) -> None:
    tuning = ("--dev", "list.txt", "--dev-scores", "acoustic.txt", "--reference", "said.txt")
    for metric, unit in (("wer", "words"), ("cer", "characters")):
        ran = model("rescore", "list.txt", "--scores", "acoustic.txt", *tuning, "--metric", metric)
        assert sorted(ran.out.splitlines()) == Path("said.txt").read_text().splitlines()
        assert "0.00% with these weights, 0.00% at best" in ran.err
        assert f"{unit}: {metric.upper()} " in ran.err


def test_a_list_in_the_form_of_rnnlm_keeps_its_order(model: Command, own_folder: Path) -> None:
    (own_folder / "n.txt").write_text("1 the rain\n2 a lamp\n1 niar eht\n")
    scores = [float(line) for line in model("score", "n.txt", "--format", "nbest").out.splitlines()]
    (own_folder / "s.txt").write_text("-1\n-2\n-3\n")
    ran = model("rescore", "n.txt", "--scores", "s.txt", "--format", "nbest", "--all")
    totals = [float(line) for line in ran.out.splitlines()]
    assert totals == pytest.approx([a + b for a, b in zip(scores, (-1, -2, -3), strict=True)], abs=1e-5)
    assert model("rescore", "n.txt", "--format", "nbest").out == "1 the rain\n2 a lamp\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weights", "1,2"), "weights is '1,2', and 3 weights are needed"),
        (("--weights", "1,x,2"), "weights is '1,x,2'"),
        (("--metric", "cer"), "tuning needs a development list and its reference"),
        (("--dev", "list.txt"), "tuning needs a development list and its reference"),
        (("--dev", "list.txt", "--reference", "said.txt"), "there are 0 --dev-scores and 1 --scores"),
        (("--dev", "list.txt", "--reference", "said.txt", "--weights", "1"), "both --weights and --dev"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    model: Command, lists: object, arguments: tuple[str, ...], message: str
) -> None:
    ran = model("rescore", "list.txt", "--scores", "acoustic.txt", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""
