"""Small appends, ten rows and one commit each. Tarn's are on disk before they are acknowledged."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor

from peers_house import Failure, Measure, clocked, read_arrow, say, turns, write_arrow

ORDER = 40
PEERS = "PyIceberg", "DuckLake"
ROWS = 100_000
COMMITS = 40
CLIENTS = 8
EACH = 4
CLIENTS_ROUNDS = 3


def base(path):
    import duckdb
    rows = duckdb.sql(
        "SELECT range AS id, CAST(range % 1000 AS BIGINT) AS customer, 'north' AS region, "
        f"range / 7.0 AS amount, 'note ' || range AS note FROM range({ROWS})").to_arrow_table()
    return write_arrow(path, rows)


def body(number):
    from systems import SMALL_COLUMNS, small_rows
    rows = [dict(zip(SMALL_COLUMNS, row)) for row in small_rows(number)]
    return json.dumps({"dataset": "t", "mode": "append", "rows": rows})


def append(post, first, count):
    for i in range(count):
        post("/ingest/delta", body(first + i))


def by_clients(server, first):
    posts = [server.client() for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(append, posts, range(first, first + CLIENTS * EACH, EACH), itertools.repeat(EACH)))


def per_commit(tables, commits):
    wall, cpu, notes = tables
    return ({name: [us / commits for us in times] for name, times in wall.items()},
            {name: [us / commits for us in times] for name, times in cpu.items()}, notes)


def measure(house):
    path = base(house.folder / "base.arrow")
    server = house.serve("tarn")
    server.upload("t", path)
    peers = house.peers(*PEERS)
    for name, peer in peers.items():
        peer.call("load", path=path, folder=str(house.folder / name), name="t")
    systems = {"Tarn": server, **peers}
    post = server.client()
    done = {name: 0 for name in systems}

    def one(name, system, _):
        first, done[name] = done[name], done[name] + COMMITS
        if name == "Tarn":
            return clocked(system, lambda: append(post, first, COMMITS))
        return system.call("appends", first=first, count=COMMITS)

    def several(name, system, _):
        first, done[name] = done[name], done[name] + CLIENTS * EACH
        if name == "Tarn":
            return clocked(system, lambda: by_clients(system, first))
        return system.call("appends_by_clients", first=first, count=EACH, clients=CLIENTS)

    say(f"  one client, {house.rounds} rounds of {COMMITS} commits")
    wall, cpu, notes = per_commit(turns(systems, house.rounds, one), COMMITS)
    yield Measure("append 10 rows, 1 client", wall, cpu, "commit", notes)
    say(f"  {CLIENTS} clients, {CLIENTS_ROUNDS} rounds of {CLIENTS * EACH} commits")
    wall, cpu, notes = per_commit(turns(systems, CLIENTS_ROUNDS, several), CLIENTS * EACH)
    yield Measure(f"append 10 rows, {CLIENTS} clients", wall, cpu, "commit", notes)
    check(house, server, {n: p for n, p in peers.items() if n not in notes}, done)


def check(house, server, peers, done):
    """All commits are there, in each system."""
    path = house.folder / "count.arrow"
    server.query("SELECT count(*) AS n, round(sum(amount)) AS amount FROM t", path)
    row = read_arrow(path).to_pylist()[0]
    for name, found in {"Tarn": [row["n"], row["amount"]],
                        **{n: p.call("totals")[2] for n, p in peers.items()}}.items():
        if found[0] != ROWS + 10 * done[name]:
            raise Failure(f"{name} has {found[0]} rows after {done[name]} commits of 10 rows")
