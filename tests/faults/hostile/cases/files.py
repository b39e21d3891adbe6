"""Whatever may lie at each name that rnncli reads or writes, and what a model may be called."""

import os
from collections.abc import Iterator
from functools import partial

from tests.faults.hostile.case import EITHER, FINE, FREE, REFUSED, USED, WRITTEN, Hostile, family
from tests.faults.hostile.kinds import KINDS, a_hard_link_out, a_link_out
from tests.faults.hostile.spoiling import (
    LINES,
    MANIFEST,
    METRICS,
    NGRAM,
    TOKENS,
    WEIGHTS,
    changed,
    edit,
    instead,
)

# By file, the commands that cannot do without it, and those that may say that they do.
FILES: dict[str, tuple[list[str], list[str]]] = {
    MANIFEST: (["generate", "info", "verify"], []),
    "config.json": (["generate", "info"], []),
    "tokenizer.json": (["generate"], ["info"]),
    WEIGHTS: (["generate"], ["info"]),
    NGRAM: (["generate"], ["info"]),
    LINES: (["novel"], ["generate", "info"]),
    METRICS: ([], ["info", "generate"]),
    "corpus.tok/dataset.json": (["resume"], []),
    TOKENS: (["resume"], []),
    "corpus.tok/tokenizer.json": (["resume"], []),
    "checkpoints/step-6.safetensors": ([], ["resume"]),
}
# Of these a manifest may say that there are none.
_OPTIONAL = (NGRAM, LINES)


def of_all_kinds() -> Iterator[Hostile]:
    for name, (needing, others) in FILES.items():
        refused = {**dict.fromkeys(needing, REFUSED), **dict.fromkeys(others, EITHER)}
        for kind, make in KINDS.items():
            spared = make is None and name in _OPTIONAL
            expected = dict.fromkeys(refused, EITHER) if spared else refused
            yield Hostile(f"{name} is {kind}", instead(name, make), expected)
        if name != TOKENS:  # of which the half is in order, only another length
            half = changed(name, lambda content: content[: len(content) // 2])
            yield Hostile(f"{name} is cut in half", half, refused)
        if name not in (MANIFEST, METRICS):
            unconfirmed = partial(edit, name=name, make=lambda path: path.write_bytes(b"{}"), confirmed=False)
            yield Hostile(f"{name} is unknown to the manifest", unconfirmed, {"verify": REFUSED, **refused})


def beside() -> Iterator[Hostile]:
    """What has a name that rnncli would give a file, in a model that has none such."""
    for kind, make in KINDS.items():
        if make is not None:
            yield Hostile(f"tokenizer.model beside is {kind}", instead("tokenizer.model", make), FREE)
    partials = [f".partial-{name}" for name in ("config.json", WEIGHTS, "README.md", MANIFEST, NGRAM)]
    for name in [*partials, "checkpoints/.partial-step-7.safetensors", "lock", METRICS]:
        for kind in ("a link out", "a hard link", "a fifo", "a folder", "a socket"):
            yield Hostile(f"{name} is {kind} where rnncli writes", instead(name, KINDS[kind]), WRITTEN)


LEFTOVERS = family(
    WRITTEN,
    {
        "a manifest is written through a link out": instead(".partial-manifest.json", a_link_out),
        "an n-gram is written through a hard link": instead(".partial-ngram.safetensors", a_hard_link_out),
        "a lock is a hard link out": instead("lock", a_hard_link_out),
        "a lock is a fifo": instead("lock", os.mkfifo),
    },
)
NAMES = [
    Hostile(
        f"a model is called {called[:20]!a}",
        instead("more\x1b[2J\n.txt", lambda path: path.touch()),
        {**resumed, **FINE},
        called=called,
    )
    for called, resumed in (
        ("\x1b[2J\x07\n", {"resume": USED}),
        ("caf\udce9", {"resume": USED}),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", {}),
        (" ", {}),
        ("x" * 250, {}),
    )
]
