"""Manifests and config.json: JSON of strangers."""

import json
from functools import partial

from tests.faults.hostile.case import BOTH, EITHER, FINE, REFUSED, RESUME, STOP, TOLD, USED, Hostile, family
from tests.faults.hostile.kinds import KINDS
from tests.faults.hostile.spoiling import (
    HUGE,
    MANIFEST,
    METRICS,
    WEIGHTS,
    changed,
    config,
    confirm,
    each,
    instead,
    later,
    nested,
    put,
)

_NOBODYS = [17, "0" * 64]
MANIFESTS = [
    *family(
        {"verify": EITHER, "info": EITHER, **RESUME},
        {
            f"a manifest {what}": partial(confirm, more=more)
            for what, more in dict[str, dict[str, object]](
                {
                    "leads out": {"../../outside/secret.txt": [_NOBODYS]},
                    "leads out of the text": {"corpus.tok/../../../outside/secret.txt": [_NOBODYS]},
                    "leads to passwd": {"/etc/passwd": [_NOBODYS]},
                    "leads to zeros": {"corpus.tok//dev/zero": [_NOBODYS]},
                    "has a NUL in a name": {"corpus.tok/\0": [_NOBODYS]},
                    "has half a character in a name": {"corpus.tok/\ud800": [_NOBODYS]},
                    "has control characters in a name": {"corpus.tok/\x1b[2J\n": [_NOBODYS]},
                    "has a name of 300 characters": {"corpus.tok/" + "x" * 300: [_NOBODYS]},
                    "has an empty name": {"": [_NOBODYS]},
                    "has a list as a size": {"config.json": [[[], "0" * 64]]},
                    "has text as the size of a log": {METRICS: [["long", "0" * 64]]},
                    "has a negative size of a log": {METRICS: [[-5, "0" * 64]]},
                    "has infinity as a size": {METRICS: [[float("inf"), "0" * 64]]},
                    "has a number as a file": {"config.json": 5},
                    "has text as a file": {"config.json": ["ab"]},
                    "has nothing as a file": {"config.json": []},
                    "has three members of an entry": {"config.json": [[1, "0" * 64, 2]]},
                    "has nested entries": {"config.json": json.loads(nested(400))},
                }
            ).items()
        },
    ),
    *family(
        {"verify": EITHER},
        {
            "a manifest allows a log of 20 MB all lengths": each(
                changed(METRICS, lambda text: text * 8_000),
                partial(confirm, more={METRICS: [[10_000_000 + size, "0" * 64] for size in range(5_000)]}),
            )
        },
    ),
    *family(
        BOTH,
        {
            "a manifest has no files": put(MANIFEST, b"{}"),
            "a manifest has a list of files": put(MANIFEST, b'{"files": [], "sha256": ""}'),
            "a manifest is endlessly nested": put(MANIFEST, b'{"files":' * 100_000),
            "a manifest has 50 MB": changed(MANIFEST, lambda text: text + b" " * 50_000_000),
        },
    ),
]
LARGEST = (
    '{"vocab_size": 4000000, "cell": "lstm", "hidden_size": 16384, "num_layers": 64, '
    '"embedding_size": 16384, "ensemble_size": 64}'
)
UNSEEMLY = r'"\u001b[2J\u0007\n\ud800"'
CONFIGS = [
    *family(
        BOTH,
        {
            "config.json is not JSON": put("config.json", b"\xff\xfe{}"),
            "config.json is a list": put("config.json", b"[]"),
            "config.json is endlessly nested": put("config.json", b"[" * 100_000),
            "config.json has 50 MB": changed("config.json", lambda text: text + b" " * 50_000_000),
            "config.json has 100 GiB": instead("config.json", KINDS["100 GiB of zeros"]),
            "config.json has a long string": later(lambda: config("name", f'"{"x" * 50_000_000}"')),
            "config.json has a key twice": changed("config.json", lambda text: b'{"step": 1,' + text[1:]),
            "config.json has nan": config("seconds", "NaN"),
            "config.json has infinity": config("training.learning_rate", "-Infinity"),
            "config.json has 1e9999": config("seconds", "1e9999"),
            "config.json has a number of 5,000 digits": config("step", "1" + "0" * 5000),
            "config.json has an unknown key": config("hiden_size", "1"),
            "config.json has a key of 900 kB": config("x" * 900_000, "1"),
            "config.json has 50,000 keys": config("model", json.dumps(dict.fromkeys(range(50_000), 0))),
            "config.json is of a newer format": config("format_version", "99"),
            "config.json is of format true": config("format_version", "true"),
            "config.json is of no format": config("format_version", "null"),
            "config.json is of a nested format": config("format_version", nested(400)),
            "a version is nested": config("rnncli_version", nested(400)),
            "a fingerprint is nested": config("tokenizer_fingerprint", nested(400)),
            "a width is 10^9": config("model.hidden_size", "1000000000"),
            "a model has 10^4 layers": config("model.num_layers", "10000"),
            "a model is of the largest shape": config("model", LARGEST),
        },
    ),
    *family(
        TOLD,
        {
            "config.json has a number of 401 digits": config("seconds", HUGE),
            "a step is negative": config("step", "-5"),
            "seconds are negative": config("seconds", "-5e300"),
            "a name has control characters": config("name", UNSEEMLY),
            "a text's name has control characters": config("corpus", UNSEEMLY),
            "a level has control characters": config("level", UNSEEMLY),
            "lines are samples": config("line_by_line", "true"),
        },
    ),
    *family(
        STOP,
        {
            "a model without weights is of the largest shape": each(
                config("model", LARGEST), instead(WEIGHTS, None)
            ),
            "lanes are too many": config("training.batch_size", "65536"),
            "stretches are longer than the text": config("training.bptt", "65536"),
        },
    ),
    *family({"resume": USED, **FINE}, {"a name leads out": config("name", '"../../outside/x"')}),
    *family(
        {"go on": REFUSED},
        {
            "a time has 401 digits": each(
                config("status", '"interrupted"'),
                config("training.steps", "null"),
                config("training.seconds", HUGE),
            )
        },
    ),
    # A record may name stores elsewhere: a resume opens them, and nothing that only writes or tells.
    *(
        Hostile(
            f"a dataset is {name}", config("datasets", f'["{name}"]'), {**STOP, **FINE}, reaches=(opened,)
        )
        for name, opened in (
            ("/etc", "/etc/dataset.json"),
            ("../../x", "../../x/dataset.json"),
            ("", "dataset.json"),
            (r"\u0000", ""),
        )
    ),
]
