"""Tombstones: the time until a call is acknowledged, against the engine's own look for the same key."""

import json
import os
import time

from bench_house import Figure, best, clocked, ms, say

ORDER = 63
ROWS = 1_000_000
ROUNDS = 30
MANY = 1000
FLUSHES = 3


def make(house, server, kind, sql):
    """Two datasets of one file each, whose keys lie in no order, so that no bounds say where one is."""
    path = house.folder / f"{kind}.parquet"
    house.engine.run(
        f"COPY (SELECT {sql} AS id, 'person ' || i AS name, 'p' || i || '@example.org' AS email, "
        f"i % 311 AS city, i % 40 AS years FROM range({ROWS}) t(i) ORDER BY hash(i)) "
        f"TO '{path}' (FORMAT parquet, COMPRESSION zstd)", warm=False)
    server.upload(f"{kind}_one", path)
    server.upload(f"{kind}_many", path)
    return server.files(f"{kind}_one")[0]


def tombstone(server, dataset, keys):
    done = json.loads(server.request(
        "POST", f"/catalog/datasets/by-name/{dataset}/tombstone",
        json.dumps({"row_key_column": "id", "row_key_values": keys, "reason": "the bench"}),
        **{"Content-Type": "application/json"}))
    assert done["rows_tombstoned"] == len(keys), done


def undo(server, dataset, keys):
    """The list is short again."""
    server.request("POST", f"/catalog/datasets/by-name/{dataset}/tombstone/undo",
                   json.dumps({"row_key_values": keys}), **{"Content-Type": "application/json"})


def puts(server):
    for line in server.request("GET", "/metrics").decode().splitlines():
        if line.startswith("tarn_store_puts_total "):
            return int(line.split()[1])
    raise AssertionError("no count of puts")


def flush_us(folder):
    """What it takes to put a small object durably: file and folder are flushed."""
    times = []
    for i in range(FLUSHES):
        start = time.monotonic()
        with open(folder / f"flush-{i}", "wb") as f:
            f.write(b"x" * 4096)
            f.flush()
            os.fsync(f.fileno())
        place = os.open(folder, os.O_RDONLY)
        os.fsync(place)
        os.close(place)
        times.append((time.monotonic() - start) * 1e6)
    return min(times)


def calls(house, server, kind, sql, value):
    """Calls with one key, calls with many, and looks for one key by the engine, in turns."""
    file = make(house, server, kind, sql)
    singles, manies, looks, flushes = [], [], [], []
    counted = 0
    for i in range(ROUNDS):
        key = value(i)
        quoted = f"'{key}'" if isinstance(key, str) else key
        looks.append(house.engine.run(f"SELECT count(*) FROM read_parquet('{file}') WHERE id = {quoted}", 2))
        before = puts(server)
        singles.append(clocked(server, lambda k=key: tombstone(server, f"{kind}_one", [k])))
        counted = puts(server) - before
        flushes.append(flush_us(house.folder))
        if i % 2 == 0:
            many = [value(n) for n in range(i * MANY, i * MANY + MANY)]
            manies.append(clocked(server, lambda k=many: tombstone(server, f"{kind}_many", k)))
            undo(server, f"{kind}_many", many)
    flush = min(flushes)
    single, many, look = best(singles)[0], best(manies)[0], min(wall for wall, _ in looks)
    yield Figure(f"tombstone 1 {kind} of 1 M rows, less flushes",
                 "the engine's scan for that key", "wall", at_most=3,
                 value=(single - counted * flush) / look,
                 note=f"{ms(single)} with {counted} puts of {ms(flush)}; {ms(look)}")
    yield Figure(f"tombstone {MANY:,} {kind}s in one call: time", "one key in one call", "wall",
                 at_most=2, value=many / single, note=f"{ms(many)}; {ms(single)}")


def measure(house):
    server = house.serve("tombstone", "--upkeep-background=false", "--hot-asks", "0")
    say(f"  {ROWS:,} rows in no order, {ROUNDS} calls with one key, {ROUNDS // 2} with {MANY:,}")
    yield from calls(house, server, "text", "printf('CAND-%07d', i)", lambda n: f"CAND-{(n * 7919 + ROWS // 2) % ROWS:07}")
    yield from calls(house, server, "integer", "i", lambda n: (n * 7919 + ROWS // 2) % ROWS)
