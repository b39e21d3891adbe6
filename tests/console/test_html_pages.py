"""The page: whole in itself, every token in it, nothing of the text obeyed."""

from html.parser import HTMLParser

import numpy as np

from rnncli.console.html_pages import surprisal_page
from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.evaluation.surprisal import ScoredLine


class Reader(HTMLParser):
    """What a browser would see."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.text, self.titles, self.tags = "", [], []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


def line(text: str) -> ScoredLine:
    tokenizer = CharTokenizer.train(text + "\n")
    ids = tokenizer.encode(text + "\n")
    steps = np.arange(len(ids), dtype=np.float64)
    ones = np.ones(len(ids))
    return ScoredLine(text, ids, 0.7 * steps, ones, steps + 1.0, ones, frozenset(), tokenizer)


def test_every_token_stands_there_with_its_values() -> None:
    seen = Reader(surprisal_page("novel", [line("ab"), line("床前")]).decode())
    assert "ab↵" in seen.text
    assert "床前↵" in seen.text
    assert len(seen.titles) == 6
    assert seen.titles[1] == "'b': 1.01 bits, rank 2, entropy 1.44 bits"


def test_markup_of_a_text_is_shown_and_not_obeyed() -> None:
    content = surprisal_page("<b>&", [line('<script src="x">&amp;')]).decode()
    seen = Reader(content)
    assert "script" not in seen.tags
    assert '<script src="x">&amp;' in seen.text
    assert "<b>&" in seen.text


def test_the_page_needs_nothing_else() -> None:
    content = surprisal_page("x", [line("a")]).decode()
    assert not any(word in content for word in ("http", "src=", "url(", "@import", "<link"))
