"""What a training goes on from: its log, its checkpoints and its text."""

import json
import os
from collections.abc import Callable, Mapping

import numpy as np
from safetensors.numpy import load

from tests.faults.hostile.arrays import Arrays, facts_of, filled, replaced, tensors, with_facts, zeros
from tests.faults.hostile.case import EITHER, GO_ON, REFUSED, RESUME, STOP, Hostile, family
from tests.faults.hostile.cases.tensor_files import BIAS
from tests.faults.hostile.kinds import KINDS, LARGE, PICKLE, SECRET, a_link_to, moved_out
from tests.faults.hostile.spoiling import (
    HUGE,
    METRICS,
    TOKENS,
    Edit,
    changed,
    dataset,
    each,
    instead,
    nested,
    put,
)


def joined(members: Mapping[str, str]) -> str:
    """A JSON object of members that need not be JSON."""
    return "{" + ", ".join(f'"{key}": {value}' for key, value in members.items()) + "}"


def logged(**members: str) -> bytes:
    """Two lines of a log."""
    return f"{joined(members)}\n".encode() * 2


def evaluated(**changes: str) -> bytes:
    score = '{"nll_nats": 1.0, "tokens": 5}'
    return logged(**{"event": '"evaluated"', "step": "1", "score": score, **changes})


def stepped(**changes: str) -> bytes:
    return logged(**{"event": '"stepped"', "step": "1", "gradient_norms": '{"output": 1.0}', **changes})


def scored(**changes: str) -> bytes:
    """A validation with all that a curve is drawn from."""
    score = joined({"nll_nats": "1.0", "tokens": "5", "characters": "5", **changes})
    return evaluated(score=score, seconds="1.0", train_nats_per_token="1.0")


ODD_NUMBERS = {"text": '"low"', "a list": "[]", "401 digits": HUGE, "1e308": "1e308", "-1": "-1", "zero": "0"}
SPOILED_LOGS = {
    "no text": b"\xff\xfe\x00\n",
    "endless nesting": b"[" * 100_000 + b"\n",
    "an object as a step": evaluated(step="{}"),
    "half a character": evaluated(more=r'"\ud800"'),
}
LOGS = [
    *family(
        {"info": EITHER},
        {
            f"a log has {what}": put(METRICS, content)
            for what, content in {
                **SPOILED_LOGS,
                "nested objects": b'{"a":' * 100_000 + b"\n",
                "a number of 5,000 digits": b'{"step": 1' + b"0" * 5000 + b"}\n",
                "no step": b'{"event": "evaluated", "score": {"nll_nats": 1.0, "tokens": 5}}\n',
                "no score": b'{"event": "evaluated", "step": 1}\n',
                "a list as a score": evaluated(score="[]"),
                "text as a score": evaluated(score='{"nll_nats": "low", "tokens": 5}'),
                "no tokens": evaluated(score='{"nll_nats": 1.0, "tokens": 0}'),
                "nan": evaluated(score='{"nll_nats": NaN, "tokens": 5}'),
                "infinity": evaluated(score='{"nll_nats": 1e9999, "tokens": 5}') + evaluated(),
                "a score of 401 digits": evaluated(score=f'{{"nll_nats": {HUGE}, "tokens": 5}}'),
            }.items()
        },
    ),
    *family({"info": EITHER, "curves": EITHER}, {"a log has 400 MiB": instead(METRICS, LARGE)}),
    *family(
        {"curves": EITHER},
        {
            f"a curve has {what} as {member}": put(METRICS, content)
            for what, number in ODD_NUMBERS.items()
            for member, content in {
                "seconds": evaluated(seconds=number),
                "nll_nats": scored(nll_nats=number),
                "characters": scored(characters=number),
                "tokens": scored(tokens=number),
                "training loss": evaluated(train_nats_per_token=number, seconds="1.0"),
            }.items()
        },
    ),
    *family(
        {"norms": EITHER},
        {
            **{
                f"a norm has {what} as {member}": put(METRICS, content)
                for what, number in ODD_NUMBERS.items()
                for member, content in {
                    "step": stepped(step=number),
                    "norms": stepped(gradient_norms=number),
                    "value": stepped(gradient_norms=f'{{"output": {number}}}'),
                }.items()
            },
            "a layer has an odd name": put(
                METRICS, stepped(gradient_norms=r'{"\u001b[2J\u202e\ud800": 1.0}')
            ),
            "there are 5,000 layers": put(
                METRICS,
                stepped(gradient_norms=joined({str(one): "1.0" for one in range(5_000)})),
            ),
        },
    ),
    *family(
        RESUME,
        {f"training goes on from a log with {what}": put(METRICS, log) for what, log in SPOILED_LOGS.items()},
    ),
]


def checkpoints(change: Callable[[str], Edit]) -> Edit:
    """Every checkpoint, so that there is none to go back to."""
    return lambda folder: [
        change(f"checkpoints/{path.name}")(folder) for path in sorted((folder / "checkpoints").iterdir())
    ]


def moments(change: Callable[[Arrays], object]) -> Edit:
    return checkpoints(lambda name: tensors(name, change))


def counter(name: str, text: str) -> Edit:
    """A fact of every checkpoint becomes some other JSON."""

    def change(content: bytes) -> bytes:
        record = {**json.loads(facts_of(content)), name: "its place"}
        return with_facts(load(content), json.dumps(record).replace('"its place"', text))

    return checkpoints(lambda file: changed(file, change))


MOMENT = f"optimizer.exp_avg.{BIAS}"
CHECKPOINTS = [
    *family(
        STOP,
        {
            "there are no checkpoints": instead("checkpoints", None),
            "checkpoints are a link out": moved_out("checkpoints"),
            "checkpoints are cut off": checkpoints(lambda name: changed(name, lambda content: content[:-9])),
            "checkpoints are pickles": checkpoints(lambda name: put(name, PICKLE)),
            "checkpoints are fifos": checkpoints(lambda name: instead(name, os.mkfifo)),
            "checkpoints are links": checkpoints(lambda name: instead(name, a_link_to("/etc/passwd"))),
            "checkpoints are zeros": checkpoints(lambda name: instead(name, KINDS["100 GiB of zeros"])),
            "a moment has another shape": moments(replaced(MOMENT, zeros(1))),
            "a moment has another type": moments(replaced(MOMENT, zeros(26, dtype=np.int64))),
            "a moment is missing": moments(lambda arrays: arrays.pop(MOMENT)),
            "a moment is one too many": moments(replaced("optimizer.more", zeros(1))),
            "a random state is none": moments(lambda arrays: arrays["rng"].put(range(5056), 255)),
            "a random state is short": moments(replaced("rng", zeros(8, dtype=np.uint8))),
            "a memory has another shape": moments(replaced("state.0.0", zeros(3, 12))),
        },
    ),
    *family(
        RESUME,
        {
            "moments are negative": moments(filled(-1.0, "exp_avg_sq")),
            "moments count from nowhere": moments(filled(-1.0, "optimizer.step")),
            "a checkpoint's weights are as large as they can be": moments(filled(3.4e38)),
        },
    ),
    *family(
        GO_ON,
        {
            f"there is a checkpoint of step {step!a}": put(f"checkpoints/step-{step}.safetensors", b"")
            for step in (
                "\N{SUPERSCRIPT TWO}",
                "\N{ARABIC-INDIC DIGIT NINE}",
                "9" * 200,
                "\x1b[2J\n",
                "-1",
                "",
            )
        },
    ),
    *(
        Hostile(
            f"a checkpoint's {name} is {text[:9]}", counter(name, text), STOP if codes == REFUSED else GO_ON
        )
        for name, text, codes in (
            ("step", '"six"', REFUSED),
            ("step", "null", REFUSED),
            ("step", "0.5", REFUSED),
            ("step", "-7", EITHER),
            ("step", HUGE, REFUSED),
            ("seconds", '"six"', REFUSED),
            ("seconds", "1e9999", REFUSED),
            ("seconds", "-1e300", EITHER),
            ("lr_factor", "[]", REFUSED),
            ("lr_factor", "1e300", EITHER),
            ("warmup_from", "{}", REFUSED),
            ("validations", '"six"', REFUSED),
            ("skipped_in_a_row", "null", REFUSED),
            ("best", "5", REFUSED),
            ("best", '{"step": 8, "score": [1]}', REFUSED),
            ("best", '{"step": [], "score": null}', EITHER),
            ("best", '{"step": 6, "score": {"nll_nats": "low"}}', EITHER),
        )
    ),
]
_PIPE = "models/x/pipe"
CORPORA = [
    *family(
        STOP,
        {
            "the text is missing": instead("corpus.tok", None),
            "the text is a link out": moved_out("corpus.tok"),
            "the text has a fifo as its tokenizer": instead("corpus.tok/tokenizer.model", os.mkfifo),
            "tokens are none of the model's": changed(TOKENS, lambda ids: b"\xff" * len(ids)),
            "tokens are cut off": changed(TOKENS, lambda ids: ids[:-1]),
        },
    ),
    *family(
        RESUME,
        {
            "lines begin nowhere": changed("corpus.tok/lines.bin", lambda starts: b"\xff" * len(starts)),
            "lines begin backwards": changed(
                "corpus.tok/lines.bin", lambda starts: np.frombuffer(starts, "<u8")[::-1].tobytes()
            ),
            "lines begin all at once": changed("corpus.tok/lines.bin", lambda starts: bytes(len(starts))),
        },
        "lines",
    ),
    *(
        Hostile(
            f"a token dataset's {place} is {text[:20]}",
            dataset(place, text),
            STOP if codes == REFUSED else GO_ON,
        )
        for place, text, codes in (
            ("splits.train.tokens", "-1", REFUSED),
            ("splits.train.tokens", "1e9", REFUSED),
            ("splits.train.tokens", HUGE, REFUSED),
            ("splits.train.tokens", "0", REFUSED),
            ("splits.valid.characters", HUGE, EITHER),
            ("splits.valid", "null", REFUSED),
            ("splits", "[]", REFUSED),
            ("format_version", nested(400), REFUSED),
            ("inputs", "[5]", REFUSED),
            ("inputs", "5", REFUSED),
            ("inputs", r'["\u0000"]', EITHER),
            ("inputs", r'["@\u0000"]', EITHER),
            ("inputs", '["-", "-"]', EITHER),
            ("inputs", '["/**/**/**/**"]', EITHER),
            ("sources", "[5]", REFUSED),
            ("sources", "[]", EITHER),
            ("sources.0.path", "5", EITHER),
            ("sources.0.sha256", "5", REFUSED),
            ("sources.0.encoding", nested(400), EITHER),
            ("reading.encoding", "5", EITHER),
            ("text.level", "[]", REFUSED),
            ("text.line_by_line", "true", REFUSED),
            ("text.valid_fraction", '"half"', REFUSED),
            ("name", r'"\u001b[2J\u0007\n"', EITHER),
            ("name", r'"\ud800"', EITHER),
        )
    ),
    *family(
        GO_ON,
        {
            "a token dataset's text is a fifo": each(
                instead("pipe", os.mkfifo),
                dataset("inputs", f'["{_PIPE}"]'),
                dataset("sources.0.path", f'"{_PIPE}"'),
            )
        },
    ),
    # A resume looks whether the text that was tokenized is still the same: as a text, and nothing else.
    Hostile(
        "a token dataset's text is a secret",
        each(dataset("inputs", f'["{SECRET}"]'), dataset("sources.0.path", f'"{SECRET}"')),
        GO_ON,
        reaches=(SECRET,),
    ),
]
