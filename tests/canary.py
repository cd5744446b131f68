"""Canaries: values that nobody may see, and the search for them in whatever a server says; corpora of statements.

A text canary is WORD letters of an alphabet without the digits of hexadecimal numbers, a numeric one has DIGITS digits.
Parts of a word are found too, in any case, backwards, and inside of hexadecimal or base64 text.
"""

import base64
import pathlib
import re
from dataclasses import dataclass

LETTERS = "ghjklmnpqrstvwxz"
WORD, PART, DIGITS = 20, 10, 15

RUN = re.compile(f"[{LETTERS}]{{{PART},}}")
BETWEEN_DIGITS = re.compile(r"(?<=\d)[-\st:.,_]+(?=\d)")  # of a number or a time, as people and programs write them
NUMBER = re.compile(rf"\d{{{DIGITS},}}")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}){10,}")
BASE64 = re.compile(r"[A-Za-z0-9+/]{14,}")


def word(random):
    return "".join(random.choice(LETTERS) for _ in range(WORD))


def number(random):
    return random.randrange(10 ** (DIGITS - 1), 10 ** DIGITS)


def parts(text):
    """The pieces of a text that count as canaries if the text is one."""
    text = str(text).lower()
    runs = [(run, PART) for run in RUN.findall(text)]
    runs += [(run, DIGITS) for run in NUMBER.findall(BETWEEN_DIGITS.sub("", text))]
    return {run[i:i + size] for run, size in runs for i in range(len(run) - size + 1)}


class Canaries:
    """A set of values, each of which is a canary or holds one."""

    def __init__(self, values=()):
        self.parts = set()
        for value in values:
            found = parts(value)
            assert found, f"no canary in {value!r}"
            self.parts |= found | {part[::-1] for part in found if not part.isdigit()}

    def found(self, said, own=""):
        """What of them stands in what was said, beyond what stands in one's own words."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        found = self.parts & parts(text)
        for run in HEX.findall(text):
            found |= self.parts & parts(bytes.fromhex(run).decode("latin-1"))
        for run in BASE64.findall(text):
            for shift in range(4):
                piece = run[shift:]
                piece = piece[:len(piece) - len(piece) % 4]
                found |= self.parts & parts(base64.b64decode(piece).decode("latin-1"))
        if found:
            mine = parts(own.decode("utf-8", "replace") if isinstance(own, bytes) else own)
            found -= mine | {part[::-1] for part in mine}
        return found


# Corpora

@dataclass(frozen=True)
class Statement:
    family: str
    line: int
    expected: str  # "refused", "ok", "any"
    flags: frozenset  # "varies", "ordered", "own"
    text: str

    def __str__(self):
        return f"{self.family}:{self.line}"


def read_corpus(folder):
    """The statements of the .sql files of a folder of tests/: each below a line '--- expected [flags]'."""
    statements = []
    for path in sorted((pathlib.Path(__file__).resolve().parent / folder).glob("*.sql")):
        head, lines, start = None, [], 0

        def end(path=path):
            if head:
                expected, *flags = head
                assert expected in ("refused", "ok", "any") and set(flags) <= {"varies", "ordered", "own"}, (path, head)
                text = "\n".join(lines).rstrip("\n")
                assert text, f"{path}:{start} is empty"
                statements.append(Statement(path.stem, start, expected, frozenset(flags), text))

        for place, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.startswith("--- "):
                end()
                head, lines, start = line[4:].split(), [], place
            elif head:
                lines.append(line)
            else:
                assert line.startswith("#") or not line, f"{path}:{place}: text before the first statement"
        end()
    return statements


def fill(text, values):
    """The bytes of a statement: {name} is values["name"], {NAME} the same in capitals, {u:0041} a character, {x:FF} a byte,
    {times:3:ab} is ababab."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
        if name.upper() != name:
            text = text.replace("{" + name.upper() + "}", str(value).upper())
    text = re.sub(r"\{times:(\d+):(.+?)\}", lambda m: m[2] * int(m[1]), text, flags=re.DOTALL)
    text = re.sub(r"\{u:([0-9A-F]{4,5})\}", lambda m: chr(int(m[1], 16)), text)
    data = re.sub(rb"\{x:([0-9A-F]{2})\}", lambda m: bytes([int(m[1], 16)]), text.encode())
    left = re.search(r"\{(true|part|view|base|other|hid|vis|u:|x:|times:)\w*[^}]*\}", data.decode("utf-8", "replace"))
    assert not left, f"nothing stands for {left[0]}"
    return data
