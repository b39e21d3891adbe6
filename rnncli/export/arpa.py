"""An n-gram in the text format of SRILM and KenLM: base-10 logarithms, one n-gram a line.

What may not stand in a word there, white space and the marks <s>, </s> and <unk>, is written as the
bytes of its UTF-8, %20 for a blank; so is % itself. "Text begins" is <s>. A model of ours predicts no end
of text: </s> has the least probability that the format knows, and line ends are symbols like others.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnncli import files
from rnncli.data.tokenizers.base import UNKNOWN, Tokenizer
from rnncli.errors import ModelError
from rnncli.ngram.kneser_ney import MOST_ORDER, Ngram

_BEGIN, _END = "<s>", "</s>"
_NEVER = -99.0
_LN10 = math.log(10.0)
_UNFIT = re.compile(r"[\s\x00-\x20\x7f-\xa0%]|\A<(?=/?s>\Z|unk>\Z)")


def write_arpa(path: Path, ngram: Ngram, tokenizer: Tokenizer) -> None:
    """Replace the file; raises StorageError where it cannot write."""
    files.write_file(path, "".join(_lines(ngram, _words(tokenizer))).encode())


def read_arpa(path: Path, tokenizer: Tokenizer) -> tuple[Ngram, int]:
    """The n-grams of the words that the tokenizer has, and how many others were left out.

    Those have other words, too few or too many, a context that is not there, or <s> at their end. A symbol
    that the file lacks has the probability of its <unk>. Raises ModelError where it is not ARPA.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}", hint="give an n-gram in ARPA format") from error
    sections = re.split(r"^\\(\d+)-grams:\s*$", text.partition("\\end\\")[0], flags=re.MULTILINE)
    orders = [int(order) for order in sections[1::2]]
    if "\\data\\" not in sections[0] or orders != list(range(1, len(orders) + 1)) or not orders:
        raise ModelError(f"{path} is not in ARPA format", hint="it begins with \\data\\ and has \\1-grams:")
    if len(orders) > MOST_ORDER:
        raise ModelError(f"{path} has order {len(orders)}", hint=f"at most {MOST_ORDER} is read")
    ids = {word: token for token, word in enumerate(_words(tokenizer))}
    ids[_BEGIN] = tokenizer.vocab_size
    found: list[dict[tuple[int, ...], tuple[float, float]]] = []
    left_out = 0
    for order, section in zip(orders, sections[2::2], strict=True):
        entries = {}
        for number, line in enumerate(section.strip("\n").split("\n")):
            if not line.strip():
                continue
            try:
                probability, words, *backoff = line.rstrip("\r").split("\t")
                gram = tuple(ids.get(word, -1) for word in words.split(" "))
                logs = (float(probability) * _LN10, float(backoff[0]) * _LN10 if backoff else 0.0)
                if not all(map(math.isfinite, logs)):
                    raise ValueError("not a number")
            except ValueError as error:
                raise ModelError(
                    f"{path}: line {number} of the {order}-grams is {line[:60]!r}",
                    hint="it is a logarithm, a tab, the words, and perhaps a tab and a logarithm",
                ) from error
            known = -1 not in gram and len(gram) == order
            if order > 1:
                known = known and gram[:-1] in found[-1] and gram[-1] != tokenizer.vocab_size
            if known:
                entries[gram] = logs
            left_out += not known
        found.append(entries)
    return _from_entries(found, tokenizer), left_out


def _words(tokenizer: Tokenizer) -> list[str]:
    """Each symbol as a word of the format, by id; where two read the same, both with their id."""
    words = [
        UNKNOWN if token == tokenizer.unknown_id else _UNFIT.sub(_escaped, tokenizer.symbol(token))
        for token in range(tokenizer.vocab_size)
    ]
    number = Counter(words)
    return [word if number[word] == 1 and word else f"{word}%{token}" for token, word in enumerate(words)]


def _escaped(match: "re.Match[str]") -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def _lines(ngram: Ngram, words: list[str]) -> Iterator[str]:
    missing = [mark for mark in (UNKNOWN, _END) if mark not in words]
    yield "\\data\\\n"
    for order, logs in enumerate(ngram.log_probs, 1):
        yield f"ngram {order}={len(logs) + (len(missing) if order == 1 else 0)}\n"
    grams: list[str] = [*words, _BEGIN]
    for order, log_probs in enumerate(ngram.log_probs, 1):
        yield f"\n\\{order}-grams:\n"
        if order == 1:
            yield from (f"{_NEVER:g}\t{mark}\t0\n" for mark in missing)
        else:
            contexts, last = np.divmod(ngram.keys[order - 2], ngram.vocab_size)
            grams = [f"{grams[c]} {words[i]}" for c, i in zip(contexts.tolist(), last.tolist(), strict=True)]
        tens = (log_probs / _LN10).tolist()
        if order == 1:
            tens[ngram.start] = _NEVER
        if order == ngram.order:
            yield from (f"{ten:.7g}\t{gram}\n" for ten, gram in zip(tens, grams, strict=True))
            continue
        backoffs = (ngram.log_backoffs[order - 1] / _LN10).tolist()
        yield from (f"{t:.7g}\t{gram}\t{b:.7g}\n" for t, gram, b in zip(tens, grams, backoffs, strict=True))
    yield "\n\\end\\\n"


def _from_entries(found: list[dict[tuple[int, ...], tuple[float, float]]], tokenizer: Tokenizer) -> Ngram:
    """Entries by order and ids -> the arrays of an Ngram."""
    size = tokenizer.vocab_size
    never = (_NEVER * _LN10, 0.0)
    unknown = never if tokenizer.unknown_id is None else found[0].get((tokenizer.unknown_id,), never)
    numbers: dict[tuple[int, ...], int] = {(token,): token for token in range(size + 1)}
    rows = [found[0].get((token,), unknown) for token in range(size + 1)]
    keys: list[npt.NDArray[np.int64]] = []
    columns = [np.array(rows, np.float32)]
    for entries in found[1:]:
        if not entries:
            break
        keyed = sorted((numbers[gram[:-1]] * size + gram[-1], gram) for gram in entries)
        keys.append(np.array([key for key, _ in keyed], np.int64))
        columns.append(np.array([entries[gram] for _, gram in keyed], np.float32))
        numbers = {gram: number for number, (_, gram) in enumerate(keyed)}
    return Ngram(
        size,
        tuple(keys),
        tuple(np.minimum(column[:, 0], 0.0) for column in columns),
        tuple(column[:, 1] for column in columns[:-1]),
    )
