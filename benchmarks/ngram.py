"""An n-gram's time and memory: fitted to a text, then asked about the last of its tokens.

    python -m benchmarks.ngram shakespeare.txt
    python -m benchmarks.ngram ptb-train.txt --level word --order 5
    python -m benchmarks.ngram song.txt.xz --order 5 --tokens 10_000_000

Peak memory is that of the whole process while fitting, the text's ids among it; nothing else is held.
"""

import argparse
import resource
import sys
import time
from collections import Counter

import numpy as np

from rnncli.data.config import ReadOptions
from rnncli.data.decoding import read_texts
from rnncli.data.tokenizers.base import CharTokenizer, Ids, Tokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.ngram.kneser_ney import fit

POSITIONS = 100_000


def ids_of(path: str, level: str, tokens: int | None) -> tuple[Ids, int]:
    """The first ids of a text, and the size of its vocabulary."""
    content = read_texts([path], ReadOptions()).content
    tokenizer: Tokenizer = (
        CharTokenizer.train(content)
        if level == "char"
        else WordTokenizer.train(Counter(content.split()), None, None)
    )
    return tokenizer.encode(content)[:tokens], tokenizer.vocab_size


def peak_gb() -> float:
    """Of this process so far; Linux counts in kilobytes, macOS in bytes."""
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("text")
    parser.add_argument("--level", choices=["char", "word"], default="char")
    parser.add_argument("--order", type=int, default=7)
    parser.add_argument("--tokens", type=int)
    given = parser.parse_args()
    ids, vocab_size = ids_of(given.text, given.level, given.tokens)
    text = np.insert(ids.astype(np.int64), 0, vocab_size)
    before = peak_gb()
    began = time.perf_counter()
    ngram = fit(text, given.order, vocab_size)
    fitted = time.perf_counter() - began
    print(
        f"{given.order}-gram of {len(ids):,} tokens, {vocab_size:,} symbols: {ngram.entries:,} entries in "
        f"{fitted:.1f} s; peak memory {peak_gb():.2f} GB, {before:.2f} GB before"
    )
    began = time.perf_counter()
    nats, _ = ngram.token_nll(text[-POSITIONS:])
    print(f"{len(nats):,} positions in {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
