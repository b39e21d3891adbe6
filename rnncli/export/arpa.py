"""N-grams in the ARPA format of SRILM and KenLM: base-10 logarithms, one n-gram per line.

Whitespace, % and the tokens <s>, </s> and <unk> cannot occur in words of this format; they are written as
the bytes of their UTF-8 (%20 for a space). The BOS token is <s>. rnncli predicts no end of text: </s> has the
lowest probability of the format, and line ends are ordinary tokens.
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
from rnncli.ngram.kneser_ney import MAX_ORDER, NgramModel

_BEGIN, _END = "<s>", "</s>"
_ZERO_LOG10 = -99.0
_LN10 = math.log(10.0)
_ESCAPED_CHARACTERS = re.compile(r"[\s\x00-\x20\x7f-\xa0%]|\A<(?=/?s>\Z|unk>\Z)")


def write_arpa(path: Path, ngram: NgramModel, tokenizer: Tokenizer) -> None:
    """Write an n-gram in ARPA format; raise StorageError if the file cannot be written."""
    files.write_file(path, "".join(_lines(ngram, _words(tokenizer))).encode())


def read_arpa(path: Path, tokenizer: Tokenizer) -> tuple[NgramModel, int]:
    """Read the n-grams whose words are all in the vocabulary of the tokenizer.

    Skipped are n-grams with other words, with a missing context, or with <s> at the end. Tokens that the file
    lacks get the probability of its <unk>.

    Returns:
        The n-gram, and the number of skipped entries.

    Raises:
        ModelError: The file is not in ARPA format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}", hint="give an n-gram in ARPA format") from error
    sections = re.split(r"^\\(\d+)-grams:\s*$", text.partition("\\end\\")[0], flags=re.MULTILINE)
    orders = [int(order) for order in sections[1::2]]
    if "\\data\\" not in sections[0] or orders != list(range(1, len(orders) + 1)) or not orders:
        raise ModelError(f"{path} is not in ARPA format", hint="it begins with \\data\\ and has \\1-grams:")
    if len(orders) > MAX_ORDER:
        raise ModelError(f"{path} has order {len(orders)}", hint=f"at most {MAX_ORDER} is read")
    ids = {word: token for token, word in enumerate(_words(tokenizer))}
    ids[_BEGIN] = tokenizer.vocab_size
    found: list[dict[tuple[int, ...], tuple[float, float]]] = []
    skipped = 0
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
            skipped += not known
        found.append(entries)
    return _from_entries(found, tokenizer), skipped


def _words(tokenizer: Tokenizer) -> list[str]:
    """Return each token as a word of the format, by id; equal words get their id appended."""
    words = [
        UNKNOWN
        if token == tokenizer.unk_id
        else _ESCAPED_CHARACTERS.sub(_escaped, tokenizer.id_to_token(token))
        for token in range(tokenizer.vocab_size)
    ]
    number = Counter(words)
    return [word if number[word] == 1 and word else f"{word}%{token}" for token, word in enumerate(words)]


def _escaped(match: "re.Match[str]") -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def _lines(ngram: NgramModel, words: list[str]) -> Iterator[str]:
    missing = [token for token in (UNKNOWN, _END) if token not in words]
    yield "\\data\\\n"
    for order, logs in enumerate(ngram.log_probs, 1):
        yield f"ngram {order}={len(logs) + (len(missing) if order == 1 else 0)}\n"
    grams: list[str] = [*words, _BEGIN]
    for order, log_probs in enumerate(ngram.log_probs, 1):
        yield f"\n\\{order}-grams:\n"
        if order == 1:
            yield from (f"{_ZERO_LOG10:g}\t{token}\t0\n" for token in missing)
        else:
            contexts, last = np.divmod(ngram.keys[order - 2], ngram.vocab_size)
            grams = [f"{grams[c]} {words[i]}" for c, i in zip(contexts.tolist(), last.tolist(), strict=True)]
        tens = (log_probs / _LN10).tolist()
        if order == 1:
            tens[ngram.bos_id] = _ZERO_LOG10
        if order == ngram.order:
            yield from (f"{ten:.7g}\t{gram}\n" for ten, gram in zip(tens, grams, strict=True))
            continue
        backoffs = (ngram.log_backoffs[order - 1] / _LN10).tolist()
        yield from (f"{t:.7g}\t{gram}\t{b:.7g}\n" for t, gram, b in zip(tens, grams, backoffs, strict=True))
    yield "\n\\end\\\n"


def _from_entries(
    found: list[dict[tuple[int, ...], tuple[float, float]]], tokenizer: Tokenizer
) -> NgramModel:
    """Build an n-gram of entries by order and ids."""
    size = tokenizer.vocab_size
    zero = (_ZERO_LOG10 * _LN10, 0.0)
    unknown = zero if tokenizer.unk_id is None else found[0].get((tokenizer.unk_id,), zero)
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
    return NgramModel(
        size,
        tuple(keys),
        tuple(np.minimum(column[:, 0], 0.0) for column in columns),
        tuple(column[:, 1] for column in columns[:-1]),
    )
