"""All hostile models, and which of them are tried: in the long form all, in the short one a share."""

from tests.faults.conftest import LONG
from tests.faults.hostile.arrays import empty_tensors
from tests.faults.hostile.case import EITHER, REFUSED, SILENT, USED, Hostile, family
from tests.faults.hostile.cases.files import FILES, LEFTOVERS, NAMES, beside, of_all_kinds
from tests.faults.hostile.cases.records import CONFIGS, MANIFESTS
from tests.faults.hostile.cases.tensor_files import KNOWN_LINES, NGRAMS, TENSORS
from tests.faults.hostile.cases.tokenizers import TOKENIZERS, chars
from tests.faults.hostile.cases.training import CHECKPOINTS, CORPORA, LOGS
from tests.faults.hostile.kinds import LARGE
from tests.faults.hostile.spoiling import LINES, METRICS, NGRAM, changed, instead, later

# Where these are allowed, a model may be trained.
TRAINING = (("resume", EITHER), ("resume", USED))
TABLES = [
    *(*MANIFESTS, *CONFIGS, *TENSORS, *TOKENIZERS, *NGRAMS),
    *(*KNOWN_LINES, *LOGS, *CHECKPOINTS, *CORPORA, *LEFTOVERS, *NAMES),
]
SLOW = [
    *(hostile for hostile in TABLES if next(iter(hostile.expected.items())) in TRAINING),
    *family(
        SILENT,
        {
            "a tokenizer has every character": later(
                lambda: chars(characters="".join(map(chr, range(0x110000))))
            ),
            "an n-gram is 200,000 empty tensors": empty_tensors(NGRAM, 200_000),
        },
    ),
    *(
        Hostile(f"{name} is 400 MiB of zeros", instead(name, LARGE), dict.fromkeys(needing, REFUSED))
        for name, (needing, _) in FILES.items()
        if needing
    ),
    *family({"novel": REFUSED}, {"lines are 200,000 empty tensors": empty_tensors(LINES, 200_000)}),
    *family(
        {"info": USED},
        {"a log has 100,000 lines": changed(METRICS, lambda text: text * (100_000 // text.count(b"\n")))},
    ),
]
HOSTILE = [hostile for hostile in TABLES if hostile not in SLOW]
# What is alike, each kind at each name, or takes its time: the short form tries some.
for alike, every in (
    (list(of_all_kinds()), 13),
    (list(beside()), 8),
    (SLOW, 9),
):
    HOSTILE += alike if LONG else alike[::every]
