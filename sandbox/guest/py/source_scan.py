"""Where a cursor is in unfinished code: in which string, inside which brackets, after which name."""

import re

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<string>(?i:\b[rbuft]{1,2})?(?P<quote>'''|\"\"\"|'|\"))
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"(?:[^\W\d]\w*\s*\.\s*)*[^\W\d]\w*\s*$")
_DOTTED = re.compile(r"((?:[^\W\d]\w*\.)*)([^\W\d]\w*)?$")


class Scan:
    """`string`: where the open string's content starts, or None; `prefix`: what stands before its quote;
    `quote`: its quote; `brackets`: positions of the open brackets; `is_comment`."""

    def __init__(self, code):
        self.code = code
        self.string = None
        self.string_start = None
        self.prefix = self.quote = ""
        self.brackets = []
        self.is_comment = False
        self._scan()

    def _scan(self):
        position = 0
        while match := _TOKEN.search(self.code, position):
            position = match.end()
            if match["comment"] is not None:
                self.is_comment = position == len(self.code)
            elif match["open"]:
                self.brackets.append(match.start())
            elif match["close"]:
                if self.brackets:
                    self.brackets.pop()
            else:
                position = self._skip_string(match)
                if position is None:
                    return

    def _skip_string(self, match):
        """The end of the string, or None where it is open."""
        quote = match["quote"]
        end = re.compile(r"\\.|" + re.escape(quote) + ("" if len(quote) == 3 else r"|\n"), re.DOTALL)
        position = match.end()
        while found := end.search(self.code, position):
            position = found.end()
            if not found[0].startswith("\\"):
                return position
        self.string = match.end()
        self.string_start = match.start()
        self.quote = quote
        self.prefix = match["string"][: -len(quote)]
        return None

    def name_before(self, position):
        """The dotted name that ends at a position, without blanks; "" where there is none."""
        match = _NAME.search(self.code, max(0, position - 1024), position)
        return re.sub(r"\s+", "", match[0]) if match else ""

    def called_name(self):
        """The function whose call surrounds the cursor; "" where there is none."""
        for bracket in reversed(self.brackets):
            if self.code[bracket] == "(":
                return self.name_before(bracket)
        return ""

    def split_name(self):
        """What ends the code: ("a.b.", "pref")."""
        match = _DOTTED.search(self.code, max(0, len(self.code) - 1024))
        return match[1], match[2] or ""
