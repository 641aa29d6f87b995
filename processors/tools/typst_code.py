"""Writes parsed Markdown as Typst: calls of functions, and strings that hold all the words."""

from collections.abc import Callable
from typing import ClassVar

from markdown_it.token import Token

LINK_SCHEMES = ("http://", "https://", "mailto:")
RULE = "#line(length: 100%, stroke: 0.5pt);\n\n"
QUOTES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "", "\t": "\\t"}


def quoted(text: str) -> str:
    """A string of Typst."""
    return '"' + "".join(QUOTES.get(character, character) for character in text) + '"'


class TypstCode:
    """Turns tokens into code, and counts what it leaves out."""

    OPENERS: ClassVar[dict[str, str]] = {
        "em_open": "#emph[",
        "strong_open": "#strong[",
        "s_open": "#strike[",
        "blockquote_open": "#quote(block: true)[",
        "list_item_open": "[",
        "thead_open": "table.header(",
        "th_open": "[#strong[",
        "td_open": "[",
    }
    CLOSERS: ClassVar[dict[str, str]] = {
        "em_close": "];",
        "strong_close": "];",
        "s_close": "];",
        "link_close": "];",
        "heading_close": "];\n\n",
        "blockquote_close": "];\n\n",
        "list_item_close": "], ",
        "bullet_list_close": ");\n\n",
        "ordered_list_close": ");\n\n",
        "thead_close": "), ",
        "th_close": "];], ",
        "td_close": "], ",
        "table_close": ");\n\n",
    }

    def __init__(self) -> None:
        self._images = self._html = 0
        self._tokens: list[Token] = []
        self._makers: dict[str, Callable[[Token, int], str]] = {
            "inline": lambda token, _: self._inline(token),
            "text": lambda token, _: f"#{quoted(token.content)};",
            "code_inline": lambda token, _: f"#raw({quoted(token.content)});",
            "softbreak": lambda *_: " ",
            "hardbreak": lambda *_: "#linebreak();",
            "hr": lambda *_: RULE,
            "fence": self._code,
            "code_block": self._code,
            "heading_open": lambda token, _: f"#heading(level: {token.tag[1:]})[",
            "paragraph_close": lambda token, _: "" if token.hidden else "\n\n",
            "bullet_list_open": lambda _, index: f"#list(tight: {self._is_tight(index)}, ",
            "ordered_list_open": self._numbered,
            "table_open": lambda _, index: self._table(index),
            "link_open": lambda token, _: self._link(token),
            "image": lambda token, _: self._image(token),
            "html_inline": lambda token, _: self._left_out(token),
            "html_block": lambda token, _: self._left_out(token),
        }

    def of(self, tokens: list[Token]) -> str:
        """The code of a whole document."""
        self._tokens = tokens
        return "".join(self._one(token, index) for index, token in enumerate(tokens))

    def notes(self) -> list[str]:
        """What was left out."""
        left_out = (("Images", self._images), ("Pieces of raw HTML", self._html))
        return [f"{what} that were left out: {count}." for what, count in left_out if count]

    def _one(self, token: Token, index: int) -> str:
        maker = self._makers.get(token.type)
        if maker is not None:
            return maker(token, index)
        return self.OPENERS.get(token.type) or self.CLOSERS.get(token.type, "")

    def _inline(self, token: Token) -> str:
        return "".join(self._one(child, index) for index, child in enumerate(token.children or []))

    def _code(self, token: Token, _: int) -> str:
        language = token.info.split()[0] if token.info.split() else ""
        lang = f"lang: {quoted(language)}, " if language else ""
        return f"#raw(block: true, {lang}{quoted(token.content.rstrip(chr(10)))});\n\n"

    def _numbered(self, token: Token, index: int) -> str:
        start = int(token.attrs.get("start", 1))
        return f"#enum(start: {start}, tight: {self._is_tight(index)}, "

    def _is_tight(self, index: int) -> str:
        level = self._tokens[index].level
        for token in self._tokens[index + 1 :]:
            if token.level == level and token.type.endswith("_list_close"):
                break
            if token.type == "paragraph_open" and token.level == level + 2:
                return "true" if token.hidden else "false"
        return "true"

    def _table(self, index: int) -> str:
        sides = []
        for token in self._tokens[index + 1 :]:
            if token.type == "th_open":
                sides.append(str(token.attrs.get("style", "")).rpartition(":")[2] or "left")
            elif token.type == "thead_close":
                break
        aligned = "".join(f"{side}, " for side in sides)
        return f"#table(columns: {len(sides)}, align: ({aligned}), "

    def _link(self, token: Token) -> str:
        target = str(token.attrs.get("href", ""))
        if not target.lower().startswith(LINK_SCHEMES):
            # Neither a file nor a place in this document can be reached from a PDF.
            return "#["
        return f"#link({quoted(target)})["

    def _image(self, token: Token) -> str:
        self._images += 1
        return f"#emph[{'#' + quoted(token.content) + ';' if token.content else ''}];"

    def _left_out(self, token: Token) -> str:
        if token.content.strip().lower() in ("<br>", "<br/>", "<br />"):
            return "#linebreak();"
        self._html += 1
        return ""
