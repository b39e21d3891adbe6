"""`--character-cnn`: words are read by their letters, those that the model has never seen too."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rnncli.storage.model_dir import ModelDir
from rnncli.text.spelling import vocabulary
from rnncli.text.tokenizers import WordTokenizer
from tests.cli.conftest import TINY, Command, words

LETTERS = (*TINY, "--character-cnn", "--embedding-size", "24")
RAIN = "the rain was lost\n"
UNSEEN = "the zebra was lost\nthe quagga was lost\n"


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--name", "x", *LETTERS)
    assert ran.code == 0, ran.err


def nats(rnncli: Command, text: str, *options: str) -> float:
    Path("given.txt").write_text(text)
    ran = rnncli("eval", "given.txt", "--json", *options)
    assert ran.code == 0, ran.err
    return float(ran.json["nats"])


@pytest.mark.usefixtures("model")
def test_the_level_is_word_and_the_letters_are_named(rnncli: Command) -> None:
    described = words(rnncli("info", "x").out)
    assert "embedding 24 of letters" in described
    assert "word" in described


@pytest.mark.usefixtures("model")
def test_unseen_words_are_told_apart_by_their_letters(rnncli: Command) -> None:
    one, other = nats(rnncli, UNSEEN), nats(rnncli, UNSEEN.replace("zebra", "gnu"))
    assert one != other
    assert "read by their letters and scored as <unk>: 'gnu', 'quagga'" in words(
        rnncli("eval", "given.txt").err
    )


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("reset", ["never", "line", "sentence"])
def test_score_and_eval_read_the_same(rnncli: Command, reset: str) -> None:
    whole = nats(rnncli, UNSEEN + RAIN, "--reset", reset)
    if reset == "line":  # as score reads
        scored = rnncli("score", "given.txt", "--unit", "line", "--base", "e")
        assert "read by their letters" in scored.err
        rows = scored.out.splitlines()
        at = rows[0].split("\t").index("surprisal_nats")
        assert sum(float(row.split("\t")[at]) for row in rows[1:]) == pytest.approx(whole, rel=1e-4)
    assert whole != nats(rnncli, UNSEEN.replace("quagga", "okapi") + RAIN, "--reset", reset)


@pytest.mark.usefixtures("model")
def test_streams_cache_and_adaptation_read_them_too(rnncli: Command) -> None:
    for options in (("--adapt",), ("--cache",), ("--streams", "4")):
        found = []
        for text in (UNSEEN * 200, UNSEEN.replace("quagga", "okapi") * 200):
            Path("given.txt").write_text(text)
            ran = rnncli("eval", "given.txt", "--reset", "never", "--json", *options)
            assert ran.code == 0, ran.err
            record = ran.json.get("adaptive") or ran.json
            found.append(record["nats"])
        assert found[0] != found[1], options


@pytest.mark.usefixtures("model")
def test_the_spellings_are_those_of_the_vocabulary(rnncli: Command) -> None:
    kept, tokenizer = spellings("x")
    assert np.array_equal(kept, vocabulary(tokenizer))
    Path("more.txt").write_text((UNSEEN + RAIN) * 40)
    ran = rnncli("train", "more.txt", "--from", "x", "--steps", "4", "--name", "y")
    assert ran.code == 0, ran.err
    assert "2 are new" in words(ran.err)
    resumed = rnncli("train", "--resume", "y", "--steps", "+2")
    assert resumed.code == 0, resumed.err
    kept, tokenizer = spellings("y")
    assert "quagga" in tokenizer.words
    assert np.array_equal(kept, vocabulary(tokenizer))


def spellings(name: str) -> tuple[npt.NDArray[np.uint8], WordTokenizer]:
    """Those that a model has, and the words that they should be of."""
    folder = ModelDir.find(name)
    tokenizer = folder.tokenizer()
    assert isinstance(tokenizer, WordTokenizer)
    return folder.needed_weights().arrays["spellings"], tokenizer


def test_weights_that_nothing_was_learned_from_yet_are_told_the_spellings_too(
    rnncli: Command, rhyme: Path
) -> None:
    assert rnncli("train", rhyme, "--name", "x", *LETTERS).code == 0
    ran = rnncli("train", rhyme, "--from", "x", "--steps", "1", "--learning-rate", "1e-30", "--name", "y")
    assert ran.code == 0, ran.err
    kept, tokenizer = spellings("y")
    assert np.array_equal(kept, vocabulary(tokenizer))


def test_a_tokenizer_of_words_goes_with_it(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("tokenize", rhyme, "--level", "word", "-o", "words.tok").code == 0
    for text in (("words.tok",), (rhyme, "--tokenizer", "words.tok")):
        ran = rnncli("train", *text, "--name", f"x{len(text)}", *LETTERS)
        assert ran.code == 0, ran.err
    assert rnncli("tokenize", rhyme, "--level", "char", "-o", "char.tok").code == 0
    refused = rnncli("train", "char.tok", "--name", "y", *LETTERS)
    assert refused.code == 1
    assert "the level char has no words" in words(refused.err)


@pytest.mark.usefixtures("model")
def test_prompts_are_read_by_their_letters(rnncli: Command) -> None:
    found = {}
    for name in ("zebra", "quagga"):
        ran = rnncli("complete", f"the {name}", "--unit", "word", "--json")
        assert ran.code == 0, ran.err
        assert f"read by their letters: '{name}'" in words(ran.err)
        found[name] = [one["nats"] for one in ran.json["completions"]]
        for options in (("--seed", "1"), ("--beam", "3"), ("--seed", "1", "--device", "cpu")):
            ran = rnncli("generate", "--prompt", f"the {name}", "--length", "5", *options)
            assert ran.code == 0, ran.err
            assert ran.out.startswith(f"the {name}")
    assert found["zebra"] != found["quagga"]
    talk = rnncli("generate", "--interactive", "--length", "3", stdin=b"the zebra\nthe quagga\n/quit\n")
    assert talk.code == 0, talk.err
    assert "read by their letters: 'quagga'" in words(talk.err)


@pytest.mark.usefixtures("model")
def test_symbols_are_drawn_by_their_letters(rnncli: Command) -> None:
    assert rnncli("plot", "x", "--of", "symbols").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--level", "char"), "the level char has no words whose letters could be read"),
        (("--tied-embeddings",), "cannot be tied to the output"),
        (("--embedding-size", "8"), "an embedding of 8 has no filter"),
    ],
)
def test_what_has_no_letters_to_read_is_refused(
    rnncli: Command, rhyme: Path, options: tuple[str, ...], says: str
) -> None:
    ran = rnncli("train", rhyme, "--name", "x", *LETTERS, *options)
    assert ran.code == 1
    assert says in words(ran.err)
    assert not Path("models/x").exists()


def test_python_reads_them_as_the_command_does(rnncli: Command, rhyme: Path) -> None:
    import rnncli as package

    assert rnncli("train", rhyme, "--name", "x", *LETTERS, "--members", "2").code == 0
    one, other = package.load("x").score(["the zebra was", "the quagga was"])
    assert one.nats != other.nats
    assert np.isfinite(one.nats)
