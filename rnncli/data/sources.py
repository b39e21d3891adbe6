"""Finding the sources of a text: files, folders, patterns, lists, stdin.

    novel.txt            a file, plain or compressed by gzip, bzip2, xz or zstd (known from its first bytes)
    corpus/              a folder: every file below it, sorted by name, without hidden files
    'part-*.txt'         a pattern, unless a file has that name: the files it matches, sorted by name
    @list.txt            a list of such names, one per line, relative to the folder of the list; # comments
    -                    stdin
    <(zcat x.gz)         a FIFO

Several sources are read in the given order with nothing between them. Paths are returned with forward
slashes, on Windows too, because they are saved in records that other systems read.
"""

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from rnncli.errors import CorpusError

STDIN = "-"
LIST_MARK = "@"
READ_HINT = "check the name and its permissions"


def expand_sources(inputs: Sequence[str]) -> list[str]:
    """Return the files, or "-" for stdin, in the order of reading; raises CorpusError."""
    found = [source for name in inputs for source in _expand(name, Path(), ())]
    if found.count(STDIN) > 1:
        raise CorpusError("stdin is named twice", hint="name it once: it can be read only once")
    return found


def readable_name(source: str) -> str:
    """Return the file name for messages; bytes that are not UTF-8 are escaped."""
    if source == STDIN:
        return "stdin"
    return os.fsencode(Path(source).name).decode("utf-8", "backslashreplace")


def _expand(name: str, base: Path, lists: tuple[Path, ...]) -> list[str]:
    if name == STDIN:
        return [name]
    if not name:
        raise CorpusError("the name of a text is empty", hint="name a file, a folder, or - for stdin")
    path = base / name
    try:
        if path.is_dir():
            return _files_below(path)
        if os.path.lexists(path):
            return [as_file_path(path)]
    except (OSError, ValueError):  # no possible file name: opening it reports that
        return [as_file_path(path)]
    if name.startswith(LIST_MARK):
        return _listed(base / name[len(LIST_MARK) :], lists)
    if glob.has_magic(name) and "\0" not in name:
        pattern = os.path.join(glob.escape(str(base)), name)  # noqa: PTH118 - keeps an absolute name
        matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        # The files of a matching folder may match as well: each is read once.
        found = list(
            dict.fromkeys(
                file for match in matches for file in _expand(as_file_path(Path(match)), Path(), lists)
            )
        )
        if not found:
            raise CorpusError(f"{name} matches no file", hint="check the pattern, and quote it")
        return found
    return [as_file_path(path)]


def as_file_path(path: PurePath) -> str:
    """Return the path in a form that never means stdin."""
    return f"./{STDIN}" if str(path) == STDIN else path.as_posix()


def _files_below(folder: Path) -> list[str]:
    """Return regular files, sorted by name at every level; each folder once, because links may form loops."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise CorpusError(f"cannot read {error.filename}: {error.strerror}", hint=READ_HINT) from error

    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        info = Path(root).stat()
        if (info.st_dev, info.st_ino) in seen:
            folders.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = (Path(root, name) for name in files if not name.startswith("."))
        found += [path.as_posix() for path in inside if path.is_file()]
    if not found:
        raise CorpusError(f"{folder} has no files in it", hint="name a folder with texts in it")
    return sorted(found, key=lambda file: Path(file).parts)


def _listed(path: Path, lists: tuple[Path, ...]) -> list[str]:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - does not follow links
    if absolute in lists:
        raise CorpusError(f"the list {path} names itself", hint="remove that line")
    try:
        if stat.S_ISCHR(path.stat().st_mode):
            raise CorpusError(f"the list {path} is a device", hint="name a file with one name per line")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read the list {path}: {reason}", hint=READ_HINT) from error
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise CorpusError(f"the list {path} names nothing", hint="write one file name per line")
    return [source for name in names for source in _expand(name, path.parent, (*lists, absolute))]
