"""Statements that nobody wrote: parts of the corpora put into one another at random.

A statement is cut into tokens; what stands between a parenthesis and its partner is a part. A mutant is a statement in which a
few parts, names or values were exchanged for others of the corpora, or which was put into another one.
"""

import re

TOKEN = re.compile(r"""\{[a-z:A-Z_0-9]+\}|'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_][A-Za-z_0-9]*|\d[\d_.eE]*|\s+|::|->>?|<>|[<>!]=|.""", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*$")
LONGEST = 4000  # characters of a statement that takes part, and of a mutant

WRAPS = ["SELECT * FROM ({}) t", "WITH c AS ({}) SELECT * FROM c", "SELECT count(*) FROM ({}) t", "({}) UNION ALL ({})",
         "SELECT * FROM {{view}} WHERE EXISTS ({})", "EXPLAIN {}", "DESCRIBE {}", "SUMMARIZE {}", "SELECT (SELECT t FROM ({}) t LIMIT 1)",
         "SELECT t::VARCHAR FROM ({}) t", "SELECT to_json(t) FROM ({}) t", "SELECT t::VARCHAR::BIGINT FROM ({}) t",
         "SELECT * FROM {{view}} v, LATERAL ({}) t", "FROM ({}) SELECT *", "WITH RECURSIVE r AS ({} UNION {}) SELECT * FROM r"]
NAMES = ["n", "id", "name", "note", "phone", "secret", "badge", "closed_at", "email", "salary", "bonus", "ssn", "card", "team", "tags", "dims",
         "rowid", "filename", "file_row_number", "{view}", "{view}", "{base}", "{other}", "{other_view}", "{local_view}", "{orders}"]


def split(text):
    return TOKEN.findall(text)


def groups(tokens):
    """Where parts begin and end: inside of parentheses, at the same depth."""
    open_at, found = [], []
    for i, token in enumerate(tokens):
        if token == "(":
            open_at.append(i + 1)
        elif token == ")" and open_at:
            found.append((open_at.pop(), i))
    return [(a, b) for a, b in found if b > a]


def is_query(part):
    return bool(re.match(r"\s*(SELECT|WITH|FROM|VALUES)\b", part, re.IGNORECASE))


def next_word(tokens, i):
    return next((t for t in tokens[i + 1:] if not t.isspace()), "")


class Mutants:
    """Of texts that are refused or may be, and of texts that are answered, of which there must be more: most mutants are no SQL."""

    def __init__(self, hostile, legit, rng):
        self.rng = rng
        self.hostile, self.legit = [[t for t in texts if len(t) < LONGEST and "{times:" not in t and "{x:" not in t]
                                    for texts in (hostile, legit)]
        self.queries, self.others, self.functions, self.names, self.values = [], [], [], list(NAMES) * 30, []
        for text in self.hostile + self.legit * 3:
            tokens = split(text)
            for a, b in groups(tokens):
                part = "".join(tokens[a:b])
                (self.queries if is_query(part) else self.others).append(part)
            for i, t in enumerate(tokens):
                if NAME.match(t):
                    (self.functions if next_word(tokens, i) == "(" else self.names).append(t)
            self.values += [t for t in tokens if t[0] in "'{" or t[0].isdigit()]

    def change_part(self, tokens):
        found = groups(tokens)
        if found:
            a, b = self.rng.choice(found)
            like = self.queries if is_query("".join(tokens[a:b])) else self.others
            tokens[a:b] = [self.rng.choice(like)]

    def change_name(self, tokens):
        places = [i for i, t in enumerate(tokens) if (NAME.match(t) and not t.isupper()) or t in ("{view}", "{base}")]
        if places:
            i = self.rng.choice(places)
            tokens[i] = self.rng.choice(self.functions if next_word(tokens, i) == "(" else self.names)

    def change_value(self, tokens):
        places = [i for i, t in enumerate(tokens) if t[0] == "'" or t[0].isdigit()]
        if places:
            tokens[self.rng.choice(places)] = self.rng.choice(self.values)

    def wrap(self, tokens):
        tokens[:] = [self.rng.choice(WRAPS).replace("{}", "".join(tokens)).replace("{{", "{").replace("}}", "}")]

    def cut(self, tokens):
        i = self.rng.randrange(len(tokens))
        del tokens[i:i + self.rng.randrange(1, 6)]

    def next(self):
        """Of a third of them the beginning is hostile; into the others hostile parts come."""
        text = self.rng.choice(self.hostile if self.rng.random() < 0.33 else self.legit)
        for _ in range(self.rng.choice([1, 1, 2, 2, 3])):
            tokens = split(text)
            if tokens:
                change = self.rng.choices([self.change_part, self.change_name, self.change_value, self.wrap, self.cut], [35, 30, 15, 15, 5])[0]
                change(tokens)
            text = "".join(tokens)
        return text if len(text) < LONGEST else self.next()
