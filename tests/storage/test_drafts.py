"""A run's folder before it is one: filled aside, whole in its place or nowhere."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenDataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.data.tokenizers.base import Tokenizer, fingerprint
from rnncli.errors import CorpusError, ModelError
from rnncli.nn.config import ModelConfig
from rnncli.storage.checkpoints import serialize_state
from rnncli.storage.draft import new_model
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import FORMAT_VERSION
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState

MODEL = ModelConfig(vocab_size=6, hidden_size=6, embedding_size=4)
TRAINING = TrainConfig(steps=5, batch_size=2, bptt=4)
RUN = serialize_state(TrainState.new(MODEL, TRAINING, torch.device("cpu")))


def store_in(
    folder: Path, config: TextConfig | None = None, tokenizer: Tokenizer | None = None
) -> TokenDataset:
    Path("tiny.txt").write_text("abcabd\n" * 30)
    folder.mkdir(exist_ok=True)
    corpus = Corpus.scan(["tiny.txt"], ReadOptions(), folder)
    return build_dataset(corpus, config or TextConfig(), folder, tokenizer=tokenizer)


def test_nothing_has_the_name_of_the_model_until_the_draft_is_finished() -> None:
    with new_model("x") as draft:
        draft.describe(
            MODEL, TRAINING, store_in(draft.corpus_folder()), datasets=[], ngram_order=0, state=RUN, best=None
        )
        assert not Path("models/x").exists()
        assert ModelDir.all() == []
    assert [folder.path.name for folder in ModelDir.all()] == ["x"]
    assert sorted(path.name for path in Path("models/x").iterdir()) == [
        "checkpoints",
        "config.json",
        "corpus.tok",
        "lines.safetensors",
        "manifest.json",
        "tokenizer.json",
    ]
    assert [path.name for path in Path("models").iterdir()] == ["x"]


@pytest.mark.parametrize("error", [CorpusError("a", "b"), KeyboardInterrupt(), SystemExit(143)])
def test_an_error_leaves_nothing_of_a_draft(error: BaseException) -> None:
    def fill() -> None:
        with new_model("x") as draft:
            draft.describe(
                MODEL,
                TRAINING,
                store_in(draft.corpus_folder()),
                datasets=[],
                ngram_order=0,
                state=RUN,
                best=None,
            )
            raise error

    with pytest.raises(type(error)):
        fill()
    assert not Path("models").exists()


def test_a_taken_name_is_refused_before_the_draft_begins() -> None:
    Path("models/x").mkdir(parents=True)
    with pytest.raises(ModelError, match="exists already"), new_model("x"):
        pytest.fail("the block must not be entered")
    assert [path.name for path in Path("models").iterdir()] == ["x"]


def test_what_a_killed_process_left_is_no_model_and_does_not_stand_in_the_way() -> None:
    Path("models/.partial-x").mkdir(parents=True)
    Path("models/.partial-x/config.json").write_text("{}")
    assert ModelDir.all() == []
    with new_model("x") as draft:
        draft.describe(
            MODEL, TRAINING, store_in(draft.corpus_folder()), datasets=[], ngram_order=0, state=RUN, best=None
        )
    assert [path.name for path in Path("models").iterdir()] == ["x"]


def test_the_record_names_text_tokens_and_lines() -> None:
    with new_model("x") as draft:
        store = store_in(draft.corpus_folder(), TextConfig(line_by_line=True))
        draft.describe(MODEL, TRAINING, store, datasets=[], ngram_order=0, state=RUN, best=None)
        sha256, tokenizer = store.origin.sha256, fingerprint(store.tokenizer)
        del store  # Windows renames no folder while a file in it is memory-mapped
    record = json.loads(Path("models/x/config.json").read_text())
    assert record["format_version"] == FORMAT_VERSION
    assert record["datasets"] == []
    assert record["line_by_line"] is True
    assert record["level"] == "char"
    assert record["corpus"] == "tiny.txt"
    assert record["corpus_sha256"] == sha256
    assert record["tokenizer_fingerprint"] == tokenizer
    assert record["status"] == "training"
    assert draft.model_dir.record().line_by_line


def test_stores_elsewhere_are_named_by_their_full_paths_and_joined_in_order(own_folder: Path) -> None:
    first = store_in(own_folder / "a.tok")
    second = store_in(own_folder / "b.tok", tokenizer=first.tokenizer)
    joined = TokenDataset.joined([first, second])
    with new_model("x") as draft:
        draft.describe(
            MODEL,
            TRAINING,
            joined,
            datasets=[Path("a.tok"), Path("b.tok")],
            ngram_order=0,
            state=RUN,
            best=None,
        )
    record = draft.model_dir.record()
    assert record.datasets == ((own_folder / "a.tok").as_posix(), (own_folder / "b.tok").as_posix())
    again = draft.model_dir.corpus()
    assert again.train.tokens == first.train.tokens + second.train.tokens
    assert np.array_equal(again.train.ids[0 : again.train.tokens], joined.train.ids[0 : joined.train.tokens])


def test_a_store_that_is_gone_is_an_error_that_names_it(own_folder: Path) -> None:
    store = store_in(own_folder / "a.tok")
    with new_model("x") as draft:
        draft.describe(MODEL, TRAINING, store, datasets=[Path("a.tok")], ngram_order=0, state=RUN, best=None)
    del store  # Windows renames no folder while a file in it is memory-mapped
    (own_folder / "a.tok").rename(own_folder / "elsewhere")
    with pytest.raises(CorpusError, match=r"a\.tok is not a complete token dataset"):
        draft.model_dir.corpus()
