"""What models/NAME/ holds, how it is found, what is refused."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rnncli import files
from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenDataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.errors import ConfigError, CorpusError, ModelError
from rnncli.events import Evaluated
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.storage.checkpoints import CheckpointWriter, load_best, load_model, load_state, serialize_state
from rnncli.storage.draft import new_model
from rnncli.storage.manifest import FileEntry, Manifest
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Status, free_name
from rnncli.training.config import TrainConfig
from rnncli.training.state import BestWeights, TrainState, weights_of
from tests.conftest import signed

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=6, hidden_size=6, embedding_size=4)  # a b c d, line end, <unk>
TRAINING = TrainConfig(steps=5, batch_size=2, bptt=4)


def tiny_store(folder: Path, config: TextConfig | None = None) -> TokenDataset:
    """Of a few lines, in a folder that is there and empty."""
    Path("tiny.txt").write_text("abcabd\n" * 30)
    return build_dataset(Corpus.scan(["tiny.txt"], ReadOptions(), folder), config or TextConfig(), folder)


def made(name: str, status: Status = "finished") -> ModelDir:
    with new_model(name) as draft:
        run = TrainState.new(MODEL, TRAINING, CPU)
        draft.describe(
            MODEL,
            TRAINING,
            tiny_store(draft.corpus_folder()),
            datasets=[],
            ngram_order=0,
            state=serialize_state(run),
            best=None,
        )
    folder = draft.model_dir
    run.step = 3
    run.best = BestWeights(Score(10.0, 5, 1, 5, 5), 2, weights_of(run.model))
    CheckpointWriter(folder).save(run, status, new_best=True)
    return folder


def test_a_model_comes_back_with_its_weights_and_its_score() -> None:
    folder = made("x")
    model, best = load_model(ModelDir.find("x"), CPU), load_best(folder)
    assert best is not None
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, best.weights[name])
    assert (best.step, best.score) == (2, Score(10.0, 5, 1, 5, 5))
    assert model.config == MODEL


def test_the_newest_finished_model_is_taken_by_its_record_and_not_by_file_time() -> None:
    made("older")
    made("newer")
    made("unfinished", status="training")
    (Path("models/older/config.json")).touch()
    assert ModelDir.find(None).path.name == "newer"


def test_a_stopped_run_counts_as_a_model() -> None:
    made("stopped", status="interrupted")
    assert ModelDir.find(None).path.name == "stopped"


def test_a_damaged_folder_does_not_stand_in_the_way_of_the_others() -> None:
    made("sound")
    made("damaged")
    Path("models/damaged/config.json").write_bytes(b"{")
    assert ModelDir.find(None).path.name == "sound"
    with pytest.raises(ModelError, match="damaged"):
        ModelDir.find("damaged").record()


def test_a_model_is_found_by_its_folder_too(own_folder: Path) -> None:
    made("x")
    Path("models/x").rename(own_folder / "elsewhere")
    assert load_model(ModelDir.find(str(own_folder / "elsewhere")), CPU).config == MODEL


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    made("shakespeare")
    with pytest.raises(ModelError) as caught:
        ModelDir.find("shakespear")
    assert caught.value.hint == "did you mean shakespeare?"


def test_without_models_the_next_step_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        ModelDir.find(None)
    assert "rnncli train" in caught.value.hint


def test_a_taken_name_is_refused_and_nothing_changes() -> None:
    folder = made("x")
    before = folder.record()
    with pytest.raises(ModelError, match="exists already"):
        made("x")
    assert folder.record() == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp", "-x", ".hidden", "a" * 101, "a\nb"])
def test_a_name_is_one_folder_and_nothing_else(name: str) -> None:
    with pytest.raises(ConfigError), new_model(name):
        pass
    assert not Path("models").exists()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("novel", "novel"),
        ("stdin", "stdin"),
        ("a b", "a-b"),
        ("唐詩", "唐詩"),
        ("...", "model"),
        ("", "model"),
    ],
)
def test_a_model_is_named_after_its_text(title: str, name: str) -> None:
    assert free_name(title) == name


def test_a_second_model_of_a_text_gets_a_number() -> None:
    made("novel")
    made("novel-2")
    assert free_name("novel") == "novel-3"


@pytest.mark.parametrize(("config", "name"), [(TRAINING, "seed"), (TextConfig(), "split_seed")])
def test_the_largest_seed_is_one_that_a_record_may_hold(config: TrainConfig | TextConfig, name: str) -> None:
    largest = replace(config, **{name: 2**62 - 1})
    files.check_types(type(largest), asdict(largest))
    with pytest.raises(ConfigError):
        replace(config, **{name: 2**62})


def test_two_checkpoints_are_kept_and_the_newest_is_read(caplog: pytest.LogCaptureFixture) -> None:
    folder = made("x")
    run = load_state(folder, TRAINING, CPU)
    for run.step in (20, 100):
        CheckpointWriter(folder).save(run, "training", new_best=False)
    names = sorted(path.name for path in Path("models/x/checkpoints").iterdir())
    assert names == ["step-100.safetensors", "step-20.safetensors"]
    assert load_state(folder, TRAINING, CPU).step == 100
    assert not caplog.records


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    folder = made("x")
    run = load_state(folder, TRAINING, CPU)
    run.step = 20
    CheckpointWriter(folder).save(run, "training", new_best=False)
    path = Path("models/x/checkpoints/step-20.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert load_state(folder, TRAINING, CPU).step == 3
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rnncli.storage.checkpoints", "WARNING")
    assert "step-20.safetensors" in record.getMessage()
    assert record.getMessage().endswith("; going back to step 3")


def test_a_store_elsewhere_is_not_copied_and_a_changed_one_is_noticed(own_folder: Path) -> None:
    path = own_folder / "text.tok"
    path.mkdir()
    store = tiny_store(path)
    with new_model("x") as draft:
        run = serialize_state(TrainState.new(MODEL, TRAINING, CPU))
        draft.describe(MODEL, TRAINING, store, datasets=[path], ngram_order=0, state=run, best=None)
    folder = draft.model_dir
    assert not Path("models/x/corpus.tok").exists()
    assert np.array_equal(folder.corpus().valid.ids, store.valid.ids)
    record = json.loads((path / "dataset.json").read_text())
    record["sources"][0]["sha256"] = "11"
    (path / "dataset.json").write_text(json.dumps(record))
    with pytest.raises(CorpusError, match="changed since x was trained on it"):
        folder.corpus()


def rewrite(change: Callable[[dict[str, object]], object]) -> None:
    path = Path("models/x/config.json")
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    signed(path.parent)


def a_newer_format(record: dict[str, object]) -> None:
    record["format_version"] = 99


def an_unknown_key(record: dict[str, object]) -> None:
    record["hidden"] = 1


def a_huge_network(record: dict[str, object]) -> None:
    record["model"] = {"vocab_size": 5, "hidden_size": 10**9}


def a_wrong_shape(record: dict[str, object]) -> None:
    record["model"] = {"vocab_size": MODEL.vocab_size, "hidden_size": 7, "embedding_size": 4}


def a_number_for_an_instant(record: dict[str, object]) -> None:
    record["saved_at"] = 5


def an_older_format(record: dict[str, object]) -> None:
    record["format_version"] = 0


def a_word_for_a_flag(record: dict[str, object]) -> None:
    record["line_by_line"] = "verse"


def a_number_among_the_stores(record: dict[str, object]) -> None:
    record["datasets"] = [5]


def stores_that_are_no_list(record: dict[str, object]) -> None:
    record["datasets"] = 5


def no_line_by_line(record: dict[str, object]) -> None:
    del record["line_by_line"]


def no_model(record: dict[str, object]) -> None:
    del record["model"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (a_newer_format, "has format 99"),
        (an_unknown_key, "unknown key 'hidden'"),
        (a_huge_network, "hidden size is 1,000,000,000"),
        (a_wrong_shape, "does not have the shape"),
        (a_number_for_an_instant, "saved_at is 5"),
        (no_model, "model is not a JSON object"),
        (an_older_format, "has format 0; this rnncli"),
        (a_word_for_a_flag, "line_by_line is 'verse'"),
        (a_number_among_the_stores, r"datasets is \[5\]"),
        (stores_that_are_no_list, "datasets is 5"),
        (no_line_by_line, "line_by_line"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    change: Callable[[dict[str, object]], None], named: str
) -> None:
    made("x")
    rewrite(change)
    with pytest.raises(ModelError, match=named):
        load_model(ModelDir.find("x"), CPU)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"nan", b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff\xfe"]
)
def test_a_damaged_record_is_refused(content: bytes) -> None:
    made("x")
    Path("models/x/config.json").write_bytes(content)
    signed(Path("models/x"))
    with pytest.raises(ModelError, match=r"config\.json"):
        ModelDir.find("x").record()


def test_the_tokenizer_of_another_model_is_refused() -> None:
    folder = made("x")
    Path("models/x/tokenizer.json").write_text('{"level": "char", "characters": "abcxyz"}')
    signed(Path("models/x"))
    with pytest.raises(ModelError, match="another model"):
        folder.tokenizer()


def test_what_was_noted_after_the_last_checkpoint_is_forgotten_with_the_steps_before_it() -> None:
    folder = made("x")
    stepped = [{"event": "stepped", "step": step} for step in (1, 9)]
    lines = [stepped[0], {"event": "remark"}, stepped[1], {"event": "remark"}]
    Path("models/x/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder.discard_after(5)
    assert list(folder.metrics()) == lines[:2]


def test_a_torn_last_line_of_the_metrics_is_passed_over() -> None:
    folder = made("x")
    Path("models/x/metrics.jsonl").write_bytes(b'{"event": "stepped"}\n{"repo')
    assert list(folder.metrics()) == [{"event": "stepped"}]
    Path("models/x/metrics.jsonl").write_bytes(b'{"repo{"event": "stepped"}\n{"event": "remark"}\n')
    assert list(folder.metrics()) == [{"event": "remark"}]


def test_a_score_that_is_not_a_number_is_described_as_none(own_folder: Path) -> None:
    folder = made("x")
    folder.append_metrics(Evaluated(1, 0.1, 1.0, float("nan"), Score(float("nan"), 5, 1, 5, 5), best=False))
    folder.append_metrics(Evaluated(2, 0.2, 2.0, 1.0, Score(10.0, 5, 1, 5, 5), best=True))
    assert [point["step"] for point in folder.describe().record()["curve"]] == [2]


@pytest.mark.parametrize(
    "score", [{"tokens": 5}, {"nll_nats": "x", "tokens": 5}, {"nll_nats": 1.0, "tokens": 0}, 7]
)
def test_a_log_line_without_a_score_is_passed_over(score: object) -> None:
    folder = made("x")
    Path("models/x/metrics.jsonl").write_text(json.dumps({"event": "evaluated", "step": 1, "score": score}))
    assert folder.describe().record()["curve"] == []


READERS: dict[str, Callable[[ModelDir], object]] = {
    "model.safetensors": ModelDir.weights,
    "lines.safetensors": ModelDir.line_hashes,
    "checkpoints/step-3.safetensors": lambda folder: folder.checkpoint(3),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("saving", [False, True], ids=["settled", "while it is replaced"])
def test_every_flipped_byte_of_a_file_of_tensors_is_noticed(name: str, saving: bool) -> None:
    folder = made("x")
    path, read = folder.path / name, READERS[name]
    if saving:  # a kill between two writes leaves a manifest that allows two files
        Manifest.read(folder.path).permitting({name: FileEntry(path.stat().st_size, "0" * 64)}).write(
            folder.path
        )
    read(folder)
    content = path.read_bytes()
    for position in range(0, len(content), 1 + len(content) // 300):
        damaged = bytearray(content)
        damaged[position] ^= 0x04
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="does not match its checksum"):
            read(folder)
        assert any(name in mismatches for mismatches in folder.mismatches())


def of_zeros(name: str) -> None:
    """A sparse file that no reading or hashing of it would come to the end of."""
    path = Path("models/x", name)
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, 2**37)


TOO_LARGE = "larger than such a file can be"


@pytest.mark.parametrize(
    ("name", "read", "says"),
    [
        ("manifest.json", ModelDir.record, TOO_LARGE),
        ("config.json", ModelDir.record, TOO_LARGE),
        ("tokenizer.json", ModelDir.tokenizer, TOO_LARGE),
        ("model.safetensors", ModelDir.weights, TOO_LARGE),
        ("ngram.safetensors", ModelDir.ngram, "is damaged"),
        ("lines.safetensors", ModelDir.line_hashes, TOO_LARGE),
        ("metrics.jsonl", lambda folder: list(folder.metrics()), TOO_LARGE),
        ("corpus.tok/dataset.json", ModelDir.corpus, TOO_LARGE),
        ("corpus.tok/tokens.bin", ModelDir.corpus, "does not have the recorded length"),
        ("corpus.tok/tokenizer.json", ModelDir.corpus, TOO_LARGE),
    ],
)
def test_a_file_that_cannot_be_so_large_is_refused_unread(
    name: str, read: Callable[[ModelDir], object], says: str
) -> None:
    folder = made("x")
    manifest = Manifest.of(folder.path)
    of_zeros(name)
    if name != "manifest.json":  # which says that all of it is as it should be
        Manifest({**manifest.files, name: (FileEntry(2**37, "0" * 64),)}).write(folder.path)
    with pytest.raises((ModelError, CorpusError), match=says):
        read(folder)


def test_what_another_process_wrote_is_seen_and_never_undone() -> None:
    made("x")
    kept, other = ModelDir.find("x"), ModelDir.find("x")
    assert kept.record().step == 3
    run = load_state(other, TRAINING, CPU)
    run.step = 9
    CheckpointWriter(other).save(run, "interrupted", new_best=False)
    kept.update(status="finished")
    assert (ModelDir.find("x").record().step, ModelDir.find("x").record().status) == (9, "finished")
    assert ModelDir.find("x").mismatches() == []


def test_a_model_that_another_one_has_replaced_is_not_mixed_with_it() -> None:
    made("x")
    kept = ModelDir.find("x")
    kept.record()
    kept.remove()
    other = made("x")
    run = load_state(other, TRAINING, CPU)
    run.best = BestWeights(Score(9.0, 5, 1, 5, 5), 7, weights_of(run.model))
    CheckpointWriter(other).save(run, "finished", new_best=True)
    with pytest.raises(ModelError, match="has been replaced by another model"):
        kept.require_weights()
