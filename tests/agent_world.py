"""A world to attack: bases full of canaries, views of them in many shapes, and an agent who may read the views.

For each shape of row filter there are two bases, "a" (one for all shapes) and "b", which look the same through the view and
differ in all that it hides: rows that are left out, values that are masked, columns that are not shown. So the agent's
question must have one answer whichever it is asked of.
"""

import contextlib
import ctypes
import http.client
import json
import os
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import fixtures
from canary import Canaries, fill, number, word
from conftest import Server

SLOW = bool(os.environ.get("TARN_SANITIZE"))
HIDDEN_NAME = "osprey"  # in the name of whatever the agent must not hear of
ROWS, FIRST_FILE = 300, 170
OTHER, GONE = f"{HIDDEN_NAME}_acl", f"{HIDDEN_NAME}_gone"
ORDERS, ORDERS_VIEW, LOCAL_VIEW, OTHER_VIEW = f"{HIDDEN_NAME}_orders", "v_orders", "v_local", f"v_{HIDDEN_NAME}"
REGIONS = ["EU", "EU", "EU", "US", "US", "eu", "AP", None]

# Row filters, and what they mean for a row.
SHAPES = {
    "equality": ("region = 'EU'", lambda r: r["region"] == "EU"),
    "function": ("lower(region) = 'eu' AND length(note) > 3", lambda r: r["region"] in ("EU", "eu")),
    "regex": ("regexp_matches(region, '^(E|A).$')", lambda r: r["region"] in ("EU", "AP")),
    "inside": (f"id IN (SELECT id FROM {OTHER})", lambda r: r["n"] % 3 != 0),
    "outside": (f"id NOT IN (SELECT id FROM {GONE})", lambda r: r["n"] % 5 > 1),
    "modulo": ("n % 4 <> 0", lambda r: r["n"] % 4 != 0),
    "like": ("note LIKE 'open %'", lambda r: r["note"].startswith("open ")),
    "unless": ("closed_at IS NULL OR (region = 'EU' AND qty > 3)",
               lambda r: r["closed_at"] is None or (r["region"] == "EU" and r["qty"] > 3)),
    "cases": ("CASE WHEN region = 'EU' THEN qty > 2 ELSE qty > 6 END",
              lambda r: r["qty"] > (2 if r["region"] == "EU" else 6)),
    "deleted": ("", lambda r: True),  # only rows that a tombstone or a delete hides
}
BASES = dict(zip(SHAPES, "bcdefghijk"))

TYPES = {"n": "INTEGER", "id": "BIGINT", "name": "VARCHAR", "region": "VARCHAR", "qty": "INTEGER", "note": "VARCHAR",
         "tags": "VARCHAR[]", "dims": "STRUCT(w INTEGER, s VARCHAR)", "price": "DOUBLE", "born": "DATE", "seen": "TIMESTAMP",
         "email": "VARCHAR", "ssn": "VARCHAR", "card": "VARCHAR", "code": "VARCHAR", "salary": "BIGINT", "bonus": "BIGINT",
         "team": "INTEGER", "badge": "VARCHAR", "phone": "VARCHAR", "secret": "BIGINT", "closed_at": "DATE"}
HIDDEN_COLUMNS = ("badge", "phone", "secret", "closed_at")
SHOWN = [c for c in TYPES if c not in HIDDEN_COLUMNS]
MASKS = {"seen": "truncate-to-month", "email": "hash", "ssn": {"mask": {"keep_prefix": 0, "keep_suffix": 2}},
         "card": "show-last-4", "code": "mask-alphanum", "salary": "null", "bonus": "mask-to-default", "team": "hash"}


def is_tombstoned(n):
    return n % 29 == 7


def is_deleted(n):
    return n % 23 == 11 and not is_tombstoned(n)


def is_updated(n):
    return n % 31 == 5 and not is_tombstoned(n) and not is_deleted(n)


def moment(rng, month=None):
    start = month or datetime(rng.randrange(2005, 2020), rng.randrange(1, 13), 1)
    return start + timedelta(days=rng.randrange(28), seconds=rng.randrange(86400), microseconds=rng.randrange(100000) * 10 + 7)


def true_values(rng, row):
    """What is masked or not shown; of a row that has been, something else that looks the same where it is shown."""
    return {"seen": moment(rng, row.get("seen") and row["seen"].replace(day=1, hour=0, minute=0, second=0, microsecond=0)),
            "ssn": row.get("ssn", "ok" + str(row["n"] % 90 + 10)) if row["n"] % 19 == 0 else word(rng) + str(row["n"] % 90 + 10),
            "card": word(rng) + str(1000 + row["n"]), "code": f"{word(rng)}-{number(rng)}",
            "salary": number(rng), "bonus": number(rng) if row["n"] % 13 else None, "badge": word(rng),
            "phone": word(rng), "secret": number(rng)}


def new_words(rng, row):
    """What is shown of a row and need not be."""
    return {"name": word(rng), "note": row["note"][:5] + word(rng), "tags": [word(rng), "red"],
            "dims": {"w": row["qty"], "s": word(rng)}}


def new_row(rng, n):
    row = {"n": n, "id": number(rng), "region": rng.choice(REGIONS), "qty": rng.randrange(10), "price": rng.randrange(400) / 4,
           "note": rng.choice(["open ", "shut "]), "born": date(1950, 1, 1) + timedelta(days=rng.randrange(20000)),
           "email": f"{word(rng)}@{word(rng)}" if n % 17 else None, "team": rng.randrange(8),
           "closed_at": date(2020, 1, 1) + timedelta(days=rng.randrange(900)) if rng.random() < 0.6 else None}
    row.update(new_words(rng, row))
    row.update(true_values(rng, row))
    return {c: row[c] for c in TYPES}


class Base:
    """Rows of a base: as they came, what some became, and which of them live."""

    def __init__(self, name, rows, changes):
        self.name = name
        self.rows = rows  # by n, as they came
        self.changes = changes  # by n: the whole new row

    @staticmethod
    def first(name, rng):
        rows = {n: new_row(rng, n) for n in range(1, ROWS + 1)}
        return Base(name, rows, {n: {**r, **new_words(rng, r)} for n, r in rows.items() if is_updated(n)})

    def twin(self, name, rng, shown):
        """Another one that looks the same through a filter."""
        rows, changes = {}, {}
        for n, row in self.rows.items():
            visible = n in self.live() and shown(self.live()[n])
            if not visible and n % 2:
                continue
            now = {**self.changes.get(n, row), **true_values(rng, row)}
            if not visible:
                now.update(new_words(rng, row), id=number(rng), email=word(rng) + "@" + word(rng), team=rng.randrange(8))
            if is_updated(n):
                rows[n], changes[n] = {**now, **new_words(rng, row)}, now
            else:
                rows[n] = now
        return Base(name, rows, changes)

    def live(self):
        return {n: self.changes.get(n, r) for n, r in self.rows.items() if not is_tombstoned(n) and not is_deleted(n)}

    def canaries(self, *columns):
        """All values that ever stood in it."""
        for row in [*self.rows.values(), *self.changes.values()]:
            for column in columns or TYPES:
                value = row[column]
                if column in ("id", "name", "note", "seen", "email", "ssn", "card", "code", "salary", "bonus", "badge", "phone",
                              "secret") and value is not None and not str(value).startswith("ok"):
                    yield value
                if column == "tags":
                    yield value[0]
                if column == "dims":
                    yield value["s"]


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"'{k}': {literal(v)}" for k, v in value.items()) + "}"
    return "'" + str(value).replace("'", "''") + "'"


def parquet(rows, types):
    names = ", ".join(types)
    cast = ", ".join(f"{c}::{t} AS {c}" for c, t in types.items())
    values = ", ".join("(" + ", ".join(literal(r[c]) for c in types) + ")" for r in rows)
    return fixtures.parquet(f"SELECT {cast} FROM (VALUES {values}) t({names})")


def jail_flags():
    """A kernel without Landlock has a weaker jail."""
    has = ctypes.CDLL(None).syscall(444, None, 0, 1) > 0
    return [] if has else ["--worker-weak-jail"]


@dataclass
class Said:
    """An answer, read to its end or to where it broke off."""
    status: int
    headers: list
    body: bytes

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode("utf-8", "replace")

    def code(self):
        """Of a problem."""
        return self.json().get("code") if self.body.startswith(b"{") else None

    def all(self):
        return "\n".join(f"{k}: {v}" for k, v in self.headers).encode() + b"\n\n" + self.body


class Client:
    """Sends with one token; a connection for each thread is kept."""

    def __init__(self, server, token):
        self.server, self.token = server, token
        self.local = threading.local()

    def send(self, method, path, body=None, **headers):
        headers = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        for again in (True, False):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=120)
                self.local.connection = connection
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
            except (http.client.HTTPException, ConnectionError):
                self.local.connection = None
                connection.close()
                if not again:
                    raise
                continue
            try:
                data = answer.read()
            except http.client.IncompleteRead as e:
                data = e.partial
                self.local.connection = None
            return Said(answer.status, answer.getheaders(), data)

    def sql(self, statement, accept="application/json", params="rows_max=100000"):
        statement = statement.encode() if isinstance(statement, str) else statement
        return self.send("POST", f"/query/sql?{params}", statement, Content_Type="text/plain", Accept=accept)

    def rows(self, statement):
        answer = self.sql(statement)
        assert answer.status == 200, f"{answer.text()}\nfor {statement}"
        return answer.json()["rows"]


class World:
    """Of some shapes; limits are those of their agents."""

    def __init__(self, folder, shapes=tuple(SHAPES), flags=(), **limits):
        rng = random.Random(20261128)
        self.a = Base.first(f"{HIDDEN_NAME}_a", rng)
        self.shapes, self.limits = shapes, limits or {"time_ms": 20000}
        self.bases = {shape: self.a.twin(f"{HIDDEN_NAME}_{BASES[shape]}", rng, SHAPES[shape][1]) for shape in SHAPES}
        self.acl = [{"id": r["id"], "why": word(rng)} for r in self.a.rows.values() if r["n"] % 3 != 0]
        self.acl += [{"id": number(rng), "why": word(rng)} for _ in range(20)]
        self.gone = [{"id": r["id"], "why": word(rng)} for base in (self.a, self.bases["outside"])
                     for r in base.rows.values() if r["n"] % 5 <= 1]
        self.orders = self.new_orders(rng)
        self.quoted = word(rng)  # stands in a row filter
        self.all = self.every_canary()
        self.server = Server(folder / "data", "--query-running-max", 16, *jail_flags(), *flags)
        try:
            self.fill()
        except BaseException:
            self.server.kill()
            raise

    def new_orders(self, rng):
        return [{"order_no": i, "n": rng.randrange(1, ROWS + 20), "item": rng.choice(["lamp", "desk", "chair", "rug"]),
                 "amount": rng.randrange(10000) / 100, "placed": str(moment(rng).replace(microsecond=0)),
                 "email": self.a.rows[rng.randrange(1, ROWS)]["email"], "card_no": word(rng),
                 "meta": json.dumps({"color": rng.choice(["red", "blue"]), "size": rng.randrange(5)})} for i in range(1, 200)]

    def every_canary(self):
        values = [v for base in (self.a, *self.bases.values()) for v in base.canaries()]
        values += [v for r in self.acl + self.gone for v in r.values()]
        return Canaries([*values, *(r["card_no"] for r in self.orders), self.quoted])

    def shown(self, shape):
        """The rows that a view of that shape shows, with their true values."""
        return {n: r for n, r in self.a.live().items() if SHAPES[shape][1](r)}

    def hidden_from(self, shape, older=False):
        """All canaries but those in what the agent of a shape is shown; of older versions: that was ever shown."""
        rows = list(self.shown(shape).values())
        if older:
            rows += [r for n, r in self.a.rows.items() if SHAPES[shape][1](r) and not is_tombstoned(n)]
        shown = Canaries(v for v in Base("", dict(enumerate(rows)), {}).canaries("id", "name", "note", "tags", "dims"))
        hidden = Canaries()
        hidden.parts = self.all.parts - shown.parts
        return hidden

    # The server

    def fill(self):
        t = self.server
        for base in (self.a, *(self.bases[shape] for shape in self.shapes)):
            self.put_base(base)
        for name, rows in ((OTHER, self.acl), (GONE, self.gone)):
            t.ingest(name, parquet(rows, {"id": "BIGINT", "why": "VARCHAR"}))
        t.ingest(ORDERS, parquet(self.orders, {"order_no": "INTEGER", "n": "INTEGER", "item": "VARCHAR", "amount": "DECIMAL(10, 2)",
                                               "placed": "TIMESTAMP", "email": "VARCHAR", "card_no": "VARCHAR",
                                               "meta": "VARCHAR"}))
        for shape in self.shapes:
            for side, base in (("a", self.a), ("b", self.bases[shape])):
                self.put_view(f"v_{shape}_{side}", base.name, SHOWN, SHAPES[shape][0], MASKS)
        self.put_view(LOCAL_VIEW, self.a.name, ["n", "badge", "email"], "n % 4 <> 0",
                      {"badge": "sha-256-query-local", "email": "hash"})
        self.put_view("v_quoted", self.a.name, ["n", "qty"], f"name <> '{self.quoted}' AND n > 3", {})
        self.put_view(ORDERS_VIEW, ORDERS, ["order_no", "n", "item", "amount", "placed", "email", "meta"], "", {"email": "hash"})
        self.put_view(OTHER_VIEW, self.a.name, ["n", "phone", "email"], "n < 50", {})
        self.agents = {shape: self.new_agent(f"agent_{shape}", [f"v_{shape}_a", f"v_{shape}_b"], **self.limits)
                       for shape in self.shapes}
        self.admin = Client(t, t.token)

    def put_base(self, base):
        t = self.server
        for mode, first, last in (("create", 1, FIRST_FILE), ("append", FIRST_FILE + 1, ROWS)):
            rows = [r for n, r in base.rows.items() if first <= n <= last]
            t.ingest(base.name, parquet(rows, TYPES), mode=mode)
        t.ingest(base.name, parquet(base.changes.values(), TYPES), mode="upsert", key="n")
        gone = [{"n": n} for n in base.rows if is_deleted(n)]
        answer = t.post("/ingest/delta", json={"dataset": base.name, "mode": "delete", "key": "n", "rows": gone})
        assert answer.status_code == 200 and answer.json()["deleted"] == len(gone), answer.text
        answer = t.post(f"/catalog/datasets/by-name/{base.name}/tombstone", json={
            "row_key_column": "n", "row_key_values": [n for n in base.rows if is_tombstoned(n)], "reason": "asked for"})
        assert answer.status_code == 200, answer.text

    def put_view(self, name, base, columns, condition, masks):
        body = {"name": name, "base_dataset": base, "columns": columns, "column_redactions": masks}
        if condition:
            body["row_filter"] = condition
        answer = self.server.post("/catalog/views", json=body)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}\nfor {body}"

    def new_agent(self, name, views, **limits):
        grants = {f"view:{view}": ["read"] for view in [*views, LOCAL_VIEW, ORDERS_VIEW, "v_quoted"]}
        return Client(self.server, self.server.let_in(name, grants, **limits))

    # What a statement's placeholders stand for

    def values(self, shape):
        shown, b = self.shown(shape), self.bases[shape]
        vis = next(n for n in shown if n > 20 and n % 19 and n % 17 and n % 13 and not is_updated(n))
        hidden = [n for n in self.a.rows if n not in shown and n not in b.rows and n > 20]
        hid = next((n for n in hidden if n in self.a.live()), hidden[0])
        row = self.a.rows[vis]
        values = {"hid": hid, "vis": vis, "hid_id": self.a.rows[hid]["id"], "true:hidname": self.a.rows[hid]["name"],
                  "part:email": row["email"][:12], "data": self.server.data, "path": self.path(), "other": OTHER,
                  "other_view": OTHER_VIEW, "local_view": LOCAL_VIEW, "orders": ORDERS_VIEW}
        for column in ("name", "email", "ssn", "card", "code", "salary", "bonus", "seen", "badge"):
            values[f"true:{column}"] = row[column]
        return values

    def path(self):
        """Of a data file of the base."""
        if not hasattr(self, "_path"):
            [self._path, *_] = [os.path.join(folder, f) for folder, _, files in os.walk(self.server.data) for f in sorted(files)
                                if HIDDEN_NAME + "_a" in folder and f.endswith(".parquet")]
        return self._path

    def statement(self, text, shape, side="a"):
        base = self.a if side == "a" else self.bases[shape]
        wide = "".join(chr(ord(c) + 0xFEE0) for c in base.name)
        return fill(text, {**self.values(shape), "view": f"v_{shape}_{side}", "base": base.name, "FULLWIDTH_BASE": wide})

    @contextlib.contextmanager
    def log_since(self):
        """What the server logs while it runs."""
        before = len(self.server.errors)
        lines = []
        yield lines
        lines += self.server.errors[before:]


def each(work, items, threads=3):
    """work(item) of each, in threads; the results in order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


# What may differ between two answers that tell the same.
NOISE = re.compile(r'"(query_id|elapsed_ms|snapshots|request_id|instance)":("[^"]*"|[\d.]+|\{[^}]*\}),?')
OWN_HEADERS = ("date", "server-timing", "x-tarn-seq", "x-tarn-query", "x-request-id", "content-length")


def telling(answer, *names):
    """What an answer says, apart from the names of what was asked and the order of its rows."""
    text = answer.text()
    for name in names:
        text = text.replace(name, "-")
    head = sorted((k.lower(), v) for k, v in answer.headers if k.lower() not in OWN_HEADERS)
    if answer.status == 200 and text.startswith("{"):
        # The last digits of a sum vary with the order in which threads add.
        body = json.loads(text, parse_float=lambda number: float(f"{float(number):.10g}"))
        rows = sorted(json.dumps(row, sort_keys=True) for row in body["rows"])
        return 200, head, body["columns"], body["row_count"], rows
    return answer.status, head, NOISE.sub("", text)
