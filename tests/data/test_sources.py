"""Inputs expand to files in an order that is the same on every machine, or to one clear error."""

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest

from rnncli.data import sources
from rnncli.data.sources import expand_sources, readable_name
from rnncli.errors import CorpusError
from tests.systems import needs_fifos, needs_permissions


def make(*names: str, content: str = "text") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")


def write_list(name: str, *lines: str) -> None:
    make(name, content="".join(line + "\n" for line in lines))


# -- files


def test_files_keep_the_order_in_which_they_were_named() -> None:
    make("b.txt", "a.txt")
    assert expand_sources(["b.txt", "a.txt", "b.txt"]) == ["b.txt", "a.txt", "b.txt"]


def test_a_name_that_is_no_file_is_left_to_whoever_opens_it() -> None:
    assert expand_sources(["absent.txt", "nul\0.txt"]) == ["absent.txt", "nul\0.txt"]


def test_an_empty_name_does_not_stand_for_the_working_folder() -> None:
    make("a.txt")
    with pytest.raises(CorpusError):
        expand_sources([""])


def test_a_file_named_dash_can_be_named_with_its_folder() -> None:
    make("-")
    assert expand_sources(["-"]) == ["-"]
    assert [Path(*expand_sources([name])) for name in ("./-", "*")] == [Path("-")] * 2
    assert expand_sources(["./-"]) != ["-"] != expand_sources(["*"])


def test_a_file_named_dash_that_is_not_there_is_not_stdin() -> None:
    assert expand_sources(["./-"]) != ["-"]


def test_names_have_forward_slashes_on_windows_too() -> None:
    for name in (
        r"C:\texts\novel.txt",
        r"texts\novel.txt",
        r".\novel.txt",
        "C:/texts/novel.txt",
        r"\\host\share\a",
    ):
        written = sources.as_file_path(PureWindowsPath(name))
        assert "\\" not in written
        assert PureWindowsPath(written) == PureWindowsPath(name)


# -- folders


def test_a_folder_is_read_by_name_at_every_level() -> None:
    make("c/b.txt", "c/a/2.txt", "c/a/10.txt", "c/a.txt", "c/Z.txt", "c/é.txt")
    expected = ["c/Z.txt", "c/a/10.txt", "c/a/2.txt", "c/a.txt", "c/b.txt", "c/é.txt"]
    assert expand_sources(["c"]) == expand_sources(["c/"]) == expected


def test_hidden_files_and_folders_are_left_out_of_a_folder() -> None:
    make("c/.hidden.txt", "c/.git/config.txt", "c/d/.x", "c/d/seen.txt")
    assert expand_sources(["c"]) == ["c/d/seen.txt"]


def test_a_hidden_file_is_read_where_it_is_named() -> None:
    make(".hidden/.a.txt")
    assert expand_sources([".hidden/.a.txt"]) == [".hidden/.a.txt"]


@pytest.mark.parametrize(
    "inside", [(), ("c/.hidden.txt",), ("c/d/.hidden.txt",)], ids=["none", "dot", "deep"]
)
def test_a_folder_without_texts_is_an_error(inside: tuple[str, ...]) -> None:
    Path("c").mkdir()
    make(*inside)
    with pytest.raises(CorpusError, match=r"^c has no files in it$"):
        expand_sources(["c"])


@needs_fifos
def test_what_is_no_plain_file_is_left_out_of_a_folder() -> None:
    make("c/a.txt")
    os.mkfifo("c/fifo")
    Path("c/broken").symlink_to("nowhere")
    Path("c/circle").symlink_to("circle")
    assert expand_sources(["c"]) == ["c/a.txt"]


def test_links_inside_a_folder_are_followed_and_never_in_circles() -> None:
    make("c/a/a.txt", "elsewhere/b.txt")
    Path("c/a/up").symlink_to(Path("c").absolute())
    Path("c/z").symlink_to(Path("elsewhere").absolute())
    Path("c/one.txt").symlink_to(Path("elsewhere/b.txt").absolute())
    assert expand_sources(["c"]) == ["c/a/a.txt", "c/one.txt", "c/z/b.txt"]


@pytest.mark.parametrize("backwards", [False, True])
def test_the_order_does_not_depend_on_how_the_disk_lists_a_folder(
    monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    make("c/a/x.txt", "c/m.txt")
    Path("c/z").symlink_to("a")
    walk = os.walk

    def listed(*given: object, **named: object) -> Iterator[tuple[str, list[str], list[str]]]:
        for root, folders, files in walk(*given, **named):  # type: ignore[call-overload]
            folders.sort(reverse=backwards)
            yield root, folders, files

    monkeypatch.setattr(sources.os, "walk", listed)
    assert expand_sources(["c"]) == ["c/a/x.txt", "c/m.txt"]


@needs_permissions
def test_a_folder_without_permission_is_an_error_and_not_an_empty_folder() -> None:
    make("c/locked/a.txt", "c/b.txt")
    Path("c/locked").chmod(0)
    try:
        with pytest.raises(CorpusError, match="cannot read c/locked: Permission denied"):
            expand_sources(["c"])
    finally:
        Path("c/locked").chmod(0o755)


# -- patterns


def test_a_pattern_stands_for_what_it_matches_by_name() -> None:
    make("split-2.txt", "split-10.txt", "split-1.txt", "other.txt", ".split-0.txt")
    assert expand_sources(["split-*.txt"]) == ["split-1.txt", "split-10.txt", "split-2.txt"]
    assert expand_sources(["split-?.txt"]) == ["split-1.txt", "split-2.txt"]
    assert expand_sources([str(Path("*t-[2].txt").absolute())]) == [str(Path("split-2.txt").absolute())]


def test_two_stars_reach_every_depth() -> None:
    make("c/a.txt", "c/d/e/b.txt", "c/d/e/b.md")
    assert expand_sources(["c/**/*.txt"]) == ["c/a.txt", "c/d/e/b.txt"]


def test_a_folder_that_a_pattern_matches_is_read_whole() -> None:
    make("year-1/b.txt", "year-1/a.txt", "year-2/a.txt")
    assert expand_sources(["year-*"]) == ["year-1/a.txt", "year-1/b.txt", "year-2/a.txt"]


def test_no_file_is_read_twice_because_its_folder_matches_too() -> None:
    make("c/a.txt", "c/d/b.txt")
    for pattern in ("c/**", "c/**/*", "c*"):
        assert expand_sources([pattern]) == ["c/a.txt", "c/d/b.txt"]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(CorpusError, match=r"^split-\*\.txt matches no file$"):
        expand_sources(["split-*.txt"])


def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    make("[bold]a*.txt", "b.txt")
    assert expand_sources(["[bold]a*.txt"]) == ["[bold]a*.txt"]


# -- lists


def test_a_list_names_sources_seen_from_its_own_folder() -> None:
    make("c/b.txt", "c/a.txt", "c/d/2.txt", "c/d/1.txt", "c/p-1", "away.txt")
    absolute = str(Path("away.txt").absolute())
    write_list(
        "c/all.txt", "\ufeff# texts", "", "b.txt", "  # no more", "  a.txt  ", "d", "p-*", absolute, "-"
    )
    expected = ["c/b.txt", "c/a.txt", "c/d/1.txt", "c/d/2.txt", "c/p-1", absolute, "-"]
    assert expand_sources(["@c/all.txt"]) == expected


def test_a_list_may_have_windows_line_ends() -> None:
    make("a.txt", "b.txt")
    Path("list").write_bytes(b"a.txt\r\nb.txt\r\n")
    assert expand_sources(["@list"]) == ["a.txt", "b.txt"]


def test_a_list_may_name_lists_and_one_of_them_twice() -> None:
    make("c/a.txt")
    write_list("c/inner", "a.txt")
    write_list("outer", "@c/inner", "@c/inner")
    assert expand_sources(["@outer"]) == ["c/a.txt", "c/a.txt"]


@pytest.mark.parametrize("name", ["@list", "@./list", "@other", "@../here/list"])
def test_a_list_that_names_itself_is_an_error(name: str) -> None:
    write_list("here/list", name)
    write_list("here/other", "@list")
    with pytest.raises(CorpusError, match=r"^the list .* names itself$"):
        expand_sources(["@here/list"])


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n  # at all"])
def test_a_list_that_names_nothing_is_an_error(content: str) -> None:
    make("list", content=content)
    with pytest.raises(CorpusError, match=r"^the list list names nothing$"):
        expand_sources(["@list"])


def test_a_list_that_cannot_be_read_is_an_error() -> None:
    Path("folder").mkdir()
    Path("latin").write_bytes(b"caf\xe9.txt\n")
    for name in ("absent", "folder", "latin"):
        with pytest.raises(CorpusError, match=f"^cannot read the list {name}: "):
            expand_sources(["@" + name])


def test_a_file_whose_name_begins_with_at_is_that_file() -> None:
    make("@home.txt")
    write_list("home.txt", "a.txt")
    assert expand_sources(["@home.txt"]) == ["@home.txt"]


def test_a_list_may_lie_in_a_folder_whose_name_looks_like_a_pattern() -> None:
    make("texts[1]/a.txt")
    write_list("texts[1]/list", "*.txt")
    assert expand_sources(["@texts[1]/list"]) == ["texts[1]/a.txt"]


@pytest.mark.parametrize("name", ["a\u2028b.txt", "a\x85b.txt", "a\x0cb.txt"])
def test_only_a_line_end_ends_a_name_in_a_list(name: str) -> None:
    make(name)
    write_list("list", name)
    assert expand_sources(["@list"]) == [name]


@pytest.mark.parametrize("name", ["absent.txt", "nul\0.txt", "n" * 300])
def test_a_name_in_a_list_that_is_no_file_still_belongs_to_the_lists_folder(name: str) -> None:
    write_list("c/list", name)
    assert expand_sources(["@c/list"]) == ["c/" + name]


# -- stdin


@pytest.mark.parametrize("given", [["-", "-"], ["-", "a.txt", "@list"]])
def test_stdin_cannot_be_named_twice(given: list[str]) -> None:
    make("a.txt")
    write_list("list", "-")
    with pytest.raises(CorpusError, match=r"^stdin is named twice$"):
        expand_sources(given)


# -- names for people


def test_names_for_people_are_short_and_can_always_be_printed() -> None:
    assert readable_name("-") == "stdin"
    assert readable_name("far/away/novel.txt") == "novel.txt"
    assert readable_name("far/[bold]红楼梦.txt") == "[bold]红楼梦.txt"
    assert readable_name(os.fsdecode(b"far/novel-\xff.txt")) == "novel-\\xff.txt"
