"""HTML as a tree: nothing that is text becomes markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.web.pages.elements import document, element, prose, table


class Reader(HTMLParser):
    """Collects tags and text as a browser sees them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.values: list[str | None] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


EMPTY = Reader(document("", element("p", "", title=""), version="1")).tags
HOSTILE = [
    "<script>alert(1)</script>",
    "</p><b>",
    '"><img src=x onerror=alert(1)>',
    "&lt;",
    "]]>",
    "<!--",
    "\x00\x1b[2J",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_peer_sends_stays_text(text: str) -> None:
    """In a title, in text, after an element and in an attribute."""
    page = Reader(document(text, element("p", text, title=text), version=text))

    assert page.tags == EMPTY
    assert page.text.count(text.translate({0: 0xFFFD, 27: 0xFFFD})) == 2


@given(st.text())
def test_any_text_is_shown_as_it_is(text: str) -> None:
    """Whatever it holds, in UTF-8, without controls that no HTML may hold."""
    shown = Reader(document("", element("p", element("i"), text), version="")).text

    assert len(shown.strip()) == len(text.replace("\r", "\n").strip()) or "\ufffd" in shown or not text.strip()
    assert not {character for character in shown if ord(character) < 32} - {"\t", "\n", "\r"}


def test_lone_surrogates_do_not_break_the_page() -> None:
    """A label of the BMS or a header may hold them."""
    assert "\ufffd" in Reader(document("", element("p", "a\ud800b"), version="")).text


def test_children_and_text_keep_their_order() -> None:
    """Text between two elements stays between them."""
    page = document("", element("p", "a", element("b", "c"), "d", element("i", "e"), "f"), version="")

    assert b"<p>a<b>c</b>d<i>e</i>f</p>" in page


def test_a_table_names_its_rows() -> None:
    """A screen reader reads the name with the value."""
    page = document("", table([("Voltage", "53.2 V")], ("What", "How much"), class_="live"), version="")

    assert b'<table class="live"><thead><tr><th scope="col">What</th>' in page
    assert b'<th scope="row">Voltage</th><td>53.2 V</td>' in page


def test_code_of_a_docstring_is_code() -> None:
    """One or two backquotes."""
    page = document("", element("p", *prose("see ``a<b`` and `c`.")), version="")

    assert b"<p>see <code>a&lt;b</code> and <code>c</code>.</p>" in page


def test_a_page_fits_a_phone_and_needs_no_script() -> None:
    """One style sheet of our own, no other file."""
    page = document("T", version="1.2").decode()

    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "script" not in page
    assert 'href="/page.css?1.2"' in page
