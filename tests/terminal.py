"""A screen for tests: understands what rich's live display sends to a terminal, and refuses what it does not know."""

import re

_TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\r|\n|\x1b.|[^\x1b\r\n]+", re.DOTALL)


class Screen:
    """What a person sees after `feed`: `lines`, and whether the cursor is shown."""

    def __init__(self):
        self.rows = [""]
        self.row = self.column = 0
        self.cursor_shown = True
        self.columns = None  # as many as are written; else what is beyond is not shown
        self.other = None  # the first screen, with its cursor, while a program uses the other one
        self._held = ""

    @property
    def lines(self):
        return [row.rstrip() for row in self.rows]

    def feed(self, text):
        text = self._held + text
        cut = len(text) - len(re.search(r"(?:\x1b(?:\[\??[\d;]*)?)?\Z", text)[0])
        text, self._held = text[:cut], text[cut:]  # a sequence may arrive in two parts
        for token in _TOKEN.finditer(text):
            self._obey(token)

    def crop(self, columns):
        """What a terminal without reflow does to lines when it becomes narrower, also to those still on their way."""
        self.columns = columns
        self.rows = [row[:columns] for row in self.rows]

    def _obey(self, token):
        if token[0] == "\r":
            self.column = 0
        elif token[0] == "\n":
            self.row += 1
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif token[2] is not None:
            self._control(token[1], token[2])
        else:
            assert not token[0].startswith("\x1b"), repr(token[0])
            row = self.rows[self.row].ljust(self.column)
            written = row[: self.column] + token[0] + row[self.column + len(token[0]) :]
            self.rows[self.row] = written[: self.columns]
            self.column += len(token[0])

    def _control(self, arguments, kind):
        match arguments, kind:
            case _, "m":  # colours
                pass
            case "?1049", "h":
                self.other = self.rows, self.row, self.column
                self.rows, self.row, self.column = [""], 0, 0
            case "?1049", "l":
                (self.rows, self.row, self.column), self.other = self.other, None
            case "", "H":
                self.row = self.column = 0
            case "?25", "l" | "h":
                self.cursor_shown = kind == "h"
            case _, "A":
                self.row -= int(arguments or 1)
                assert self.row >= 0
            case "2", "K":
                self.rows[self.row] = ""
            case _:
                raise AssertionError(f"unknown control sequence {arguments}{kind}")
