"""Model folders of strangers: whatever lies in one, a command ends soon, in little memory, with one error."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.conftest import TINY
from tests.conftest import RHYME
from tests.faults.conftest import LONG
from tests.faults.hostile.case import EITHER, REFUSED, Codes, Hostile
from tests.faults.hostile.cases.chosen import HOSTILE
from tests.faults.hostile.kinds import SECRET
from tests.faults.hostile.opened import reached, traced
from tests.faults.hostile.shell import LONGEST_SECONDS, ROOT, Outcome, Shell
from tests.faults.hostile.spoiling import HUGE, config, put

MAX_LOG_BYTES = 300 * 2**20


def commands(model: str) -> dict[str, list[str]]:
    """What is tried on a model."""
    generate = ["generate", "--model", model, "--length", "5", "--seed", "1"]
    return {
        "info": ["info", model],
        "verify": ["verify", model],
        "generate": generate,
        "novel": [*generate, "--novel", "--lines", "1"],
        "resume": ["train", "--resume", model, "--steps", "+1", "--quiet"],
        "go on": ["train", "--resume", model, "--quiet"],
        "ngram": ["ngram", model, "--order", "2", "--quiet"],
        "curves": ["plot", model],
        "norms": ["plot", model, "--figure", "gradient-norms"],
        "symbols": ["plot", model, "--figure", "embeddings"],
    }


@dataclass
class Good:
    """Good models, each trained once, and what commands on a copy of one leave behind."""

    shell: Shell
    folder: Path
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    seen: list[tuple[str, Outcome]] = field(default_factory=list)

    def models(self, base: str) -> Path:
        options = {
            "x": ["--ngram", "3"],
            "pieces": ["--level", "subword", "--vocab-size", "300"],
            "lines": ["--line-by-line"],
        }
        if not (self.folder / "models" / base).exists():
            (self.folder / "rhyme.txt").write_text(RHYME, encoding="utf-8")
            train = f"train rhyme.txt --name {base} --validations 2 --quiet".split()
            trained = self.shell.run([*train, *TINY, *options[base]], self.folder)
            assert trained.code == 0, trained.err
        return self.folder / "models" / base

    def outcome(self, base: str, name: str) -> Outcome:
        if (base, name) not in self.outcomes:
            folder = self.folder / f"{base} {name}"
            shutil.copytree(self.models(base), folder / "models" / base)
            outcome = self.shell.run(commands(base)[name], folder)
            assert outcome.code == (1 if name == "go on" else 0), outcome.err  # its budget is used up
            outcome.opened[:] = reached(outcome.opened, folder)
            self.outcomes[base, name] = outcome
        return self.outcomes[base, name]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Good]:
    shell = Shell()
    yield Good(shell, tmp_path_factory.mktemp("good"))
    shell.close()


def spoiled(hostile: Hostile, model: Path) -> None:
    """A copy of a good model under models/, spoiled; beside models/ is a folder that nothing may touch."""
    folder = Path("models", hostile.called)
    shutil.copytree(model, folder)
    Path("outside").mkdir()
    Path(SECRET).write_text("nobody's business")
    hostile.make(folder)


def outside() -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path("outside").rglob("*")}


def complaints(name: str, outcome: Outcome, codes: Codes, usual: Outcome) -> Iterator[str]:
    """What is wrong with how a command ended, a sentence each."""
    errors = [line for line in outcome.err.split("\n") if line.startswith("error: ")]
    hints = [line for line in outcome.err.split("\n") if line.startswith("hint: ")]
    if outcome.code not in codes:
        yield f"its code is {outcome.code}"
    listed = name == "verify" and not errors  # what is wrong, on stdout
    if len(errors) != len(hints) or (len(errors) != (outcome.code == 1) and not listed):
        yield f"it says {len(errors)} errors and {len(hints)} hints"
    if "Traceback" in outcome.err or "Warning" in outcome.err:
        yield "it shows its source"
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", outcome.err):
        yield "it shows control characters"
    if outcome.seconds > LONGEST_SECONDS:
        yield f"it takes {outcome.seconds:.1f} s"
    if outcome.peak_bytes > usual.peak_bytes + MAX_LOG_BYTES:
        yield f"it takes {(outcome.peak_bytes - usual.peak_bytes) >> 20} MiB more than a good model"


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_model_is_refused_or_used_and_nothing_else_happens(hostile: Hostile, good: Good) -> None:
    spoiled(hostile, good.models(hostile.base))
    before, mismatches = outside(), []
    for name, codes in attempts(hostile).items():
        outcome = good.shell.run(commands(hostile.called)[name], Path.cwd())
        good.seen.append((f"{hostile.name}, {name}", outcome))
        usual = good.outcome(hostile.base, name)
        found = list(complaints(name, outcome, codes, usual))
        found += [f"it opens {place}" for place in strangers(outcome.opened, usual.opened, hostile)]
        if outside() != before:
            found.append("it changes something outside of the folder")
        mismatches += [f"{name}: {', '.join(found)}\n{outcome.err[-1500:]}"] if found else []
    assert not mismatches, "\n".join(mismatches)


def test_a_member_of_another_type_or_size_is_never_believed(
    good: Good, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    shutil.copytree(good.models("x"), "models/x")
    content = Path("models/x/config.json").read_bytes()
    record = json.loads(content)
    places = {
        **record,
        **{
            f"{outer}.{name}": record[outer][name]
            for outer in ("model", "training")
            for name in record[outer]
        },
    }
    tries = [
        *((place, text, REFUSED) for place, value in places.items() for text in of_other_types(value)),
        *(
            (place, text, EITHER)
            for place, value in places.items()
            if value is None or isinstance(value, int | float)
            for text in ("-1", "-1e308", "1e9999", "1" + "0" * 18, HUGE)
        ),
    ][:: effort(8, 1)]
    mismatches = []
    for place, text, codes in tries:
        put("config.json", content)(Path("models/x"))
        config(place, text)(Path("models/x"))
        outcome = good.shell.run(commands("x")["info"], Path.cwd())
        found = list(complaints("info", outcome, codes, good.outcome("x", "info")))
        mismatches += [f"{place} as {text[:20]}: {', '.join(found)}\n{outcome.err[-300:]}"] if found else []
    figure(f"{len(tries)} members tried")
    assert not mismatches, "\n".join(mismatches)


def of_other_types(value: object) -> list[str]:
    """JSON that cannot stand for a value."""
    if isinstance(value, str):
        return ["5", "[]", "{}"]
    return ['"text"', "5", "{}"] if isinstance(value, list | dict) else ['"text"', "[]", "{}"]


def attempts(hostile: Hostile) -> Mapping[str, Codes]:
    """In the long form every command, in the short one the first, of those with one right code if any."""
    definite = {name: codes for name, codes in hostile.expected.items() if codes != EITHER}
    return hostile.expected if LONG else dict(list((definite or hostile.expected).items())[:1])


def strangers(opened: list[str], usual: list[str], hostile: Hostile) -> list[str]:
    reaches = {os.path.realpath(place) for place in hostile.reaches}
    places = reached([place for place in opened if place not in reaches], Path.cwd())
    return sorted(places.difference(usual))


def test_all_of_them_are_answered_about_as_soon_as_a_good_model(
    good: Good, figure: Callable[[str], None]
) -> None:
    if not good.seen:
        pytest.skip("no hostile model was tried")
    slowest, largest = (
        max(good.seen, key=lambda entry: getattr(entry[1], measure)) for measure in ("seconds", "peak_bytes")
    )
    refused = sum(outcome.code == 1 for _, outcome in good.seen)
    usual = good.outcome("x", "generate")
    figure(
        f"{len(good.seen)} commands on {len(HOSTILE)} models, {refused} refused; the slowest "
        f"{slowest[1].seconds:.2f} s ({slowest[0]}), a good model {usual.seconds:.2f} s; the largest "
        f"{largest[1].peak_bytes >> 20} MiB ({largest[0]})"
    )
    assert slowest[1].seconds < LONGEST_SECONDS


def test_nothing_outside_is_opened_as_strace_sees_it(
    good: Good, figure: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not LONG or shutil.which("strace") is None:
        pytest.skip("it takes minutes, and strace")
    mismatches, usual = [], dict[tuple[str, str], list[str]]()
    for number, hostile in enumerate(HOSTILE):
        name = next(iter(hostile.expected))
        if (hostile.base, name) not in usual:
            folder = tmp_path / f"{hostile.base} {name}"
            shutil.copytree(good.models(hostile.base), folder / "models" / hostile.base)
            usual[hostile.base, name] = sorted(reached(traced(commands(hostile.base)[name], folder), folder))
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        spoiled(hostile, good.models(hostile.base))
        opened = traced(commands(hostile.called)[name], Path.cwd())
        found = strangers(opened, usual[hostile.base, name], hostile)
        mismatches += [f"{hostile.name}, {name}: {', '.join(found)}"] if found else []
    figure(f"{len(HOSTILE)} models traced")
    assert not mismatches, "\n".join(mismatches)


def test_rnncli_neither_reads_nor_writes_pickles_and_runs_no_text_as_a_program() -> None:
    forbidden = (
        r"pickle|torch\.(load|save)\b|np\.(load|save)\b|marshal|shelve|(?<!def )(?<![\w.])(eval|exec)\("
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in (ROOT / "rnncli").rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if re.search(forbidden, line)
    ]
    assert not found, "\n".join(found)
