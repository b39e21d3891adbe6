"""Mutated models and stores: a reader gives what it reads or raises what it declares, and nothing else."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Never, get_args

import numpy as np
import pytest
from safetensors.numpy import load

from rnncli.data.config import ReadOptions, SubwordKind, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenDataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer, decode, fingerprint, line_end
from rnncli.data.tokenizers.serialization import from_json
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError, CorpusError, ModelError, TokenizerError
from rnncli.events import to_json
from rnncli.nn.config import ModelConfig
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import ModelRecord, read_record
from rnncli.storage.safetensors_file import read_arrays
from rnncli.training.config import TrainConfig
from tests.faults.conftest import SHAPE, TEXT, ended, forked
from tests.faults.hostile.arrays import AnyArray, facts_of, headed, with_facts
from tests.faults.hostile.spoiling import config, edit, protobuf

LONGEST_SECONDS = 5.0
# A C++ library that crashes again and again has been understood.
MOST_CRASHES = 20
DECLARED = (ModelError, CorpusError, TokenizerError, ConfigError)
# What stands for another value: of each type, at the edges of each.
VALUES = [
    *["0", "-1", "1", "2", "255", "65536", "4294967296", "9223372036854775808", "-9223372036854775809"],
    *["0.5", "-0.0", "1e308", "-1e308", "1e-320", "1e9999", "NaN", "-Infinity", "null", "true", "false"],
    *['""', '"0"', '"x"', r'"\u0000"', r'"\ud800"', r'"\u001b[2J"', '"(a+)+$"', '"[[a]"'],
    *["[]", "{}", "[null]", '[""]', "[[[[]]]]", '{"": 0}'],
    *["1" + "0" * 400, "[" * 400 + "]" * 400, '"' + "x" * 5000 + '"'],
]
WAYS = ("flip", "flip", "flip", "set", "insert", "delete", "repeat", "move", "cut")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+|[][{}:,]|\s+')


class TooLongError(Exception):
    """Nothing that rnncli foresees."""


class Mutator:
    """Bytes changed at random, the same for a seed; `says` is how."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.says: list[str] = []

    def __str__(self) -> str:
        return "; ".join(self.says)

    def json(self, content: bytes) -> bytes:
        """As bytes; or, of JSON, as its tokens or its values."""
        ways = [self.octets, self.tokens, self.values, self.values] if content[:1] in b"{[" else [self.octets]
        return self.rng.choice(ways)(content)

    def octets(self, content: bytes, ways: tuple[str, ...] = WAYS) -> bytes:
        changed = bytearray(content)
        for _ in range(self.rng.choice((1, 1, 1, 2, 5))):
            size, here = len(changed), self.rng.randint(0, len(changed))
            there = min(size, here + self.rng.choice((1, 2, 4, 8, 100)))
            other = self.rng.randint(0, size)
            way = self.rng.choice(ways)
            self.says.append(f"{way} {here}..{there}")
            if way == "flip" and here < size:
                changed[here] ^= 1 << self.rng.randrange(8)
            elif way == "set":
                value = self.rng.choice(b'\0\x01\x7f\x80\xff"{}[],:0-9e')
                changed[here:there] = bytes([value]) * (there - here)
            elif way == "insert":
                changed[here:here] = self.rng.randbytes(there - here)
            elif way == "delete":
                del changed[here:there]
            elif way == "repeat":
                changed[here:here] = changed[here:there] * self.rng.choice((1, 2, 50))
            elif way == "move":
                changed[other:other] = changed[here:there]
            elif way == "cut":
                del changed[here:]
        return bytes(changed)

    def tokens(self, content: bytes) -> bytes:
        found = _TOKEN.findall(content)
        for _ in range(self.rng.choice((1, 1, 2, 4)) if found else 0):
            here, there = self.rng.randrange(len(found)), self.rng.randrange(len(found))
            way = self.rng.choice(("swap", "copy", "delete", "repeat", "value"))
            self.says.append(f"{way} {found[here][:30]!r}, {found[there][:30]!r}")
            if way == "swap":
                found[here], found[there] = found[there], found[here]
            elif way == "copy":
                found[here] = found[there]
            elif way == "delete":
                found[here] = b""
            elif way == "repeat":
                found[here] *= self.rng.choice((2, 3, 1000))
            elif way == "value":
                found[here] = self.rng.choice(VALUES).encode()
        return b"".join(found)

    def values(self, content: bytes) -> bytes:
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            return self.octets(content)
        texts: dict[str, str] = {}
        for _ in range(self.rng.choice((1, 1, 1, 2, 4))):
            places = [place for place in self._places(record) if place]
            if not places:
                break
            *way, last = self.rng.choice(places)
            inner = record
            for step in way:
                inner = inner[step]
            value, mark = self.rng.choice(VALUES), f"value {len(texts)}"
            how = self.rng.choice(("value", "value", "value", "delete", "rename", "swap"))
            self.says.append(f"{how} {'.'.join(map(str, [*way, last]))} {value[:30]}")
            if how == "delete":
                del inner[last]
            elif how == "rename" and isinstance(inner, dict):
                inner[self.rng.choice(("", "x", "name", "\ud800", f"{last}s"))] = inner.pop(last)
            elif how == "swap":
                inner[last] = self.rng.choice(list(inner.values() if isinstance(inner, dict) else inner))
            else:
                inner[last] = mark
                texts[f'"{mark}"'] = value
        text = json.dumps(record)
        for mark, value in texts.items():
            text = text.replace(mark, value)
        return text.encode()

    def _places(self, record: Any) -> Iterator[tuple[Any, ...]]:
        yield ()
        if isinstance(record, dict | list):
            entries = record.items() if isinstance(record, dict) else enumerate(record)
            for key, value in entries:
                yield from ((key, *rest) for rest in self._places(value))

    def fields(self, content: bytes) -> bytes:
        """Of a subword model: whole fields, or the inside of one."""
        found = protobuf(content)
        for _ in range(self.rng.choice((1, 1, 2, 5))):
            here, there = self.rng.randrange(len(found)), self.rng.randrange(len(found))
            way = self.rng.choice(("swap", "copy", "delete", "repeat", "inside", "inside", "inside"))
            self.says.append(f"{way} {here}, {there}")
            if way == "swap":
                found[here], found[there] = found[there], found[here]
            elif way == "copy":
                found[here] = found[there]
            elif way == "delete":
                found[here] = b""
            elif way == "repeat":
                found[here] *= self.rng.choice((2, 50))
            elif found[here]:
                inside = self.octets(found[here][-found[here][1] :], ("flip", "flip", "flip", "set"))
                found[here] = found[here][:1] + bytes([len(inside) % 128]) + inside
        return b"".join(found)

    def arrays(self, content: bytes) -> bytes:
        """Of a safetensors file: as bytes; its header; or its tensors or facts."""
        size = int.from_bytes(content[:8], "little")
        way = self.rng.choice(("bytes", "header", "tensors", "facts", "facts"))
        if way == "bytes":
            return self.octets(content)
        if way == "header":
            return headed(self.json(content[8 : 8 + size]), content[8 + size :])
        tensors, facts = load(content), facts_of(content)
        if way == "facts":
            facts = self.json(facts.encode()).decode("utf-8", "replace")
        for name in self.rng.sample(sorted(tensors), min(len(tensors), 2)) if way == "tensors" else ():
            array = tensors.pop(name)
            how = self.rng.randrange(7)
            self.says.append(f"tensor {name} {how}")
            if how == 0:
                tensors[name] = array.astype(self.rng.choice(("f2", "f4", "f8", "i8", "u1", "u8", "?", "c8")))
            elif how == 1:
                tensors[name] = array.reshape(self.rng.choice(((-1,), (1, -1), (-1, 1), (*array.shape, 1))))
            elif how == 2:
                tensors[name] = np.resize(array, self.rng.choice((0, 1, array.size + 1)))
            elif how == 3:
                tensors[name] = np.frombuffer(self.rng.randbytes(array.nbytes), array.dtype).reshape(
                    array.shape
                )
            elif how == 4:
                tensors[name] = np.full_like(array, self.rng.choice((0, 1, 127)))
            elif how == 5:
                tensors[self.rng.choice((f"{name}x", "", "x", "keys.2"))] = array
        return with_facts(tensors, facts)


@dataclass
class Faults:
    """What was raised and not declared, by its kind: how often, and when first."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def attempt(self, says: str, read: Callable[[], object], declared: tuple[type[Exception], ...]) -> bool:
        """Whether it gave what it reads."""
        signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
        try:
            read()
            return True
        except declared:
            return False
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if "/rnncli/" in frame.filename] or list(frames)
            place = f"{own[-1].filename.rpartition('/rnncli/')[2]}:{own[-1].lineno}"
            self.add(f"{type(error).__name__} at {place}", f"{says}: {str(error)[:200]}")
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def add(self, kind: str, says: str) -> None:
        self.found.setdefault(kind, []).append(says)

    def __str__(self) -> str:
        return "\n".join(f"{len(times)} x {kind}; first {times[0]}" for kind, times in self.found.items())


@pytest.fixture(autouse=True)
def _endless_reading_is_interrupted() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> Never:
        raise TooLongError(f"{LONGEST_SECONDS:.0f} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.signal(signal.SIGALRM, before)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def a_record() -> bytes:
    record = ModelRecord(
        name="x",
        created_at="2026-01-01T00:00:00.000000+00:00",
        saved_at="2026-01-01T00:00:00.000000+00:00",
        status="finished",
        model=ModelConfig(vocab_size=6, hidden_size=6, embedding_size=4),
        training=TrainConfig(steps=5),
        corpus="text.txt",
        corpus_sha256="0" * 64,
        datasets=("text.tok",),
        level="char",
        line_by_line=False,
        tokenizer_fingerprint="0" * 64,
    )
    return json.dumps(asdict(record)).encode()


def test_mutated_records_are_read_or_refused(
    own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    seed, faults, read = a_record(), Faults(), 0
    for number in range(effort(600, 30_000)):
        mutator = Mutator(f"record {number}")
        path = written(own_folder / "config.json", mutator.json(seed))
        read += faults.attempt(f"{number} {mutator}", partial(read_record, path), (ModelError,))
    figure(f"{number + 1:,} records, {read:,} of them read")
    assert not faults.found, str(faults)


def test_mutated_tensors_are_read_or_refused(
    own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    arrays: dict[str, AnyArray] = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "keys.2": np.arange(4, dtype=np.int64),
        "scalar": np.array(2.0),
        "none": np.zeros((0, 3), np.float16),
    }
    seed, faults, read = with_facts(arrays, '{"step": 7, "score": null}'), Faults(), 0
    for number in range(effort(600, 30_000)):
        mutator = Mutator(f"tensors {number}")
        path = written(own_folder / "model.safetensors", mutator.arrays(seed))
        read += faults.attempt(f"{number} {mutator}", partial(read_arrays, path), (ModelError,))
    figure(f"{number + 1:,} files of tensors, {read:,} of them read")
    assert not faults.found, str(faults)


def test_mutated_tokenizers_are_read_or_refused(
    effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    seeds = [
        CharTokenizer.train(TEXT).to_bytes(),
        WordTokenizer(["<unk>", "<eos>", *sorted(set(TEXT.split()))]).to_bytes(),
        WordTokenizer(["<unk>", "<eos>", "the", " "], r"\w+|[^\w\s]").to_bytes(),
        ByteTokenizer().to_bytes(),
    ]
    faults, read = Faults(), 0
    for number in range(effort(600, 30_000)):
        mutator = Mutator(f"tokenizer {number}")
        content = mutator.json(seeds[number % len(seeds)])
        read += faults.attempt(
            f"{number} {mutator}", partial(use, partial(from_json, content)), (TokenizerError,)
        )
    figure(f"{number + 1:,} tokenizers, {read:,} of them read")
    assert not faults.found, str(faults)


def use(made: Callable[[], Tokenizer]) -> None:
    """A tokenizer is made, cuts a text, and gives it back."""
    tokenizer = made()
    fingerprint(tokenizer)
    line_end(tokenizer)
    ids = tokenizer.encode("the rain, \u2581 \N{CJK UNIFIED IDEOGRAPH-96E8} \0\n" + TEXT[:200])
    decode(tokenizer, [*ids, *range(min(tokenizer.vocab_size, 300))])
    for token in range(min(tokenizer.vocab_size, 300)):
        tokenizer.id_to_token(token)


def test_mutated_stores_are_opened_or_refused(
    own_folder: Path, text: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    stores = []
    for line_by_line in (False, True):
        folder = own_folder / f"{line_by_line}.tok"
        folder.mkdir()
        build_dataset(
            Corpus.scan([str(text)], ReadOptions(), folder), TextConfig(line_by_line=line_by_line), folder
        )
        stores.append(folder)
    faults, opened = Faults(), 0
    for number in range(effort(200, 10_000)):
        mutator = Mutator(f"store {number}")
        folder = stores[number % len(stores)]
        path = folder / mutator.rng.choice(
            ("dataset.json", "dataset.json", *(file.name for file in folder.iterdir()))
        )
        seed = path.read_bytes()
        written(path, mutator.json(seed))
        opened += faults.attempt(
            f"{number} {path.name} {mutator}", partial(TokenDataset.open, folder), (CorpusError,)
        )
        written(path, seed)
    figure(f"{number + 1:,} stores, {opened:,} of them opened")
    assert not faults.found, str(faults)


@pytest.fixture
def models(model: Path, text: Path) -> list[Path]:
    """One of characters with an n-gram beside it, and one of subwords and lines."""
    pieces = ["--level", "subword", "--vocab-size", "300", "--line-by-line", "--steps", "3"]
    assert ended(forked("train", str(text), "--name", "pieces", *pieces, *SHAPE)) == 0, Path(
        "output"
    ).read_text()
    return [model, model.with_name("pieces")]


def test_mutated_models_are_read_or_refused(
    models: list[Path], effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    faults = in_children(effort(60, 2_000), partial(read_a_spoiled_model, models))
    figure(f"{effort(60, 2_000):,} models, each read in 10 ways")
    assert not faults.found, str(faults)


def read_a_spoiled_model(models: list[Path], number: int, faults: Faults) -> None:
    mutator, folder = Mutator(f"model {number}"), Path("models/spoiled")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(models[number % len(models)], folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in mutator.rng.sample(
        [name for name in names if name != "lock"], mutator.rng.choice((1, 1, 2, 3))
    ):
        mutator.says.append(name)
        spoil(folder, name, mutator)
    model = ModelDir(folder)

    def described() -> str:
        return to_json(model.describe().record())

    def tokenizer() -> None:
        use(model.tokenizer)

    for read in (
        *(model.record, tokenizer, model.weights, model.ngram, model.line_hashes, model.corpus),
        *(model.metrics, described, model.checkpoints, model.mismatches),
    ):
        faults.attempt(f"{number} {read.__name__} {mutator}", read, DECLARED)


def spoil(folder: Path, name: str, mutator: Mutator) -> None:
    """Another content of a file, which the record and the manifest confirm, or not."""
    content = (folder / name).read_bytes()
    ways = {".safetensors": mutator.arrays, ".model": mutator.fields}
    changed = ways.get(Path(name).suffix, mutator.json)(content)
    confirmed = mutator.rng.random() < 0.9
    edit(folder, name, lambda path: path.write_bytes(changed), confirmed)
    if name.startswith("tokenizer.") and confirmed:
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # the record may be spoiled too
            config("tokenizer_fingerprint", f'"{hashlib.sha256(changed).hexdigest()}"')(folder)


def test_mutated_subword_models_are_read_or_refused_and_crash_nothing(
    effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    seeds = [SubwordTokenizer.train(TEXT, 300, kind).to_bytes() for kind in get_args(SubwordKind)]
    faults = in_children(effort(300, 20_000), partial(use_spoiled_pieces, seeds))
    figure(f"{effort(300, 20_000):,} models of subwords")
    assert not faults.found, str(faults)


def use_spoiled_pieces(seeds: list[bytes], number: int, faults: Faults) -> None:
    mutator = Mutator(f"pieces {number}")
    mutate = mutator.fields if number % 3 else mutator.octets
    content = mutate(seeds[number % len(seeds)])
    faults.attempt(f"{number} {mutator}", partial(use, partial(SubwordTokenizer, content)), (TokenizerError,))


def in_children(times: int, work: Callable[[int, Faults], None]) -> Faults:
    """Numbered work in a process of its own: where that crashes or hangs is a fault, and another goes on."""
    faults, place, found, first = Faults(), Path("place"), Path("found"), 0
    for _ in range(MOST_CRASHES):
        found.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            _be_the_child(range(first, times), work, place, found)
        code = _awaited(child, place)
        for kind, says in (json.loads(found.read_text()) if found.exists() else {}).items():
            for one in says:
                faults.add(kind, one)
        if code == 0:
            return faults
        crashed = int(place.read_text())
        faults.add(f"a process that ends with {code}", str(crashed))
        first = crashed + 1
    return faults


def _be_the_child(numbers: range, work: Callable[[int, Faults], None], place: Path, found: Path) -> Never:
    faults, known = Faults(), 0
    try:
        for number in numbers:
            place.write_text(str(number))
            work(number, faults)
            if known < (known := sum(map(len, faults.found.values()))):
                found.write_text(json.dumps(faults.found))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _awaited(child: int, place: Path) -> int:
    """How a process ended that says where it is; killed where it does not go on."""
    before, since = "", time.monotonic()
    while time.monotonic() < since + 2 * LONGEST_SECONDS:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
        here = place.read_text() if place.exists() else ""
        if here != before:
            before, since = here, time.monotonic()
    os.kill(child, signal.SIGKILL)
    return ended(child)
