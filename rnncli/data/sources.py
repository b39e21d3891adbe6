"""What a person may name as a text, and in which order it is read.

    novel.txt            a file, plain or packed by gzip, bzip2, xz or zstd: its first bytes tell
    corpus/              a folder: every file below it, by name, hidden ones left out
    'part-*.txt'         a pattern, where no file has that name: what it matches, by name
    @list.txt            a list of such names, one a line, seen from the list's folder; # comments
    -                    stdin
    <(zcat x.gz)         a FIFO

Several are read in the order given, and nothing is put between them. Names come out with forward slashes, on
Windows too, which takes both: they are saved in records that other systems read.
"""

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from rnncli.errors import CorpusError

STDIN = "-"
LIST_MARK = "@"
HOW_TO_READ = "check the name and its permissions"


def expand(given: Sequence[str]) -> list[str]:
    """What was named -> files and "-" in the order of reading; raises CorpusError."""
    found = [source for name in given for source in _expand(name, Path(), ())]
    if found.count(STDIN) > 1:
        raise CorpusError("stdin is named twice", hint="name it once: it can be read only once")
    return found


def readable_name(source: str) -> str:
    """For people: a name whose bytes are no UTF-8 comes out with escapes instead of half characters."""
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
            return [_as_file(path)]
    except (OSError, ValueError):  # not even a possible name; opening it says so
        return [_as_file(path)]
    if name.startswith(LIST_MARK):
        return _listed(base / name[len(LIST_MARK) :], lists)
    if glob.has_magic(name) and "\0" not in name:
        pattern = os.path.join(glob.escape(str(base)), name)  # noqa: PTH118 - an absolute name stays one
        matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path's takes no absolute one
        # A folder is read whole, and what is in it may match as well.
        found = list(
            dict.fromkeys(file for match in matches for file in _expand(_as_file(Path(match)), Path(), lists))
        )
        if not found:
            raise CorpusError(f"{name} matches no file", hint="check the pattern, and quote it")
        return found
    return [_as_file(path)]


def _as_file(path: PurePath) -> str:
    """Its name, which never means stdin."""
    return f"./{STDIN}" if str(path) == STDIN else path.as_posix()


def _files_below(folder: Path) -> list[str]:
    """Plain files, by name at every level; each folder once, so that a link cannot lead in circles."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise CorpusError(f"cannot read {error.filename}: {error.strerror}", hint=HOW_TO_READ) from error

    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        facts = Path(root).stat()
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = (Path(root, name) for name in files if not name.startswith("."))
        found += [path.as_posix() for path in inside if path.is_file()]
    if not found:
        raise CorpusError(f"{folder} has no files in it", hint="name a folder with texts in it")
    return sorted(found, key=lambda file: Path(file).parts)


def _listed(path: Path, lists: tuple[Path, ...]) -> list[str]:
    place = Path(os.path.abspath(path))  # noqa: PTH100 - a link's folder is where it lies
    if place in lists:
        raise CorpusError(f"the list {path} names itself", hint="take that line out")
    try:
        if stat.S_ISCHR(path.stat().st_mode):
            raise CorpusError(f"the list {path} is a device", hint="name a file with one name a line")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read the list {path}: {reason}", hint=HOW_TO_READ) from error
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise CorpusError(f"the list {path} names nothing", hint="write one file name a line")
    return [source for name in names for source in _expand(name, path.parent, (*lists, place))]
