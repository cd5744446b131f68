"""Questions over the same Parquet files, which are Tarn's own; every answer is compared, as Arrow."""

import math

import pyarrow

from peers_house import Failure, Measure, drop_from_page_cache, read_arrow, say, turns

ORDER = 20
PEERS = "DuckDB", "Quack", "DataFusion", "Polars", "ClickHouse"
HOT_ASKS = 6
COLD_ROUNDS = 3

QUERIES = {
    "filter and sum": (
        "SELECT count(*) AS n, sum(amount) AS amount FROM events "
        "WHERE region = 'north' AND quantity > 15 AND paid"),
    "group by, 5,000 groups": (
        "SELECT product, count(*) AS n, sum(amount) AS amount, avg(quantity) AS quantity FROM events "
        "GROUP BY product ORDER BY product"),
    "group by, 200,000 groups, top 10": (
        "SELECT customer, count(*) AS n, sum(amount) AS amount FROM events GROUP BY customer "
        "ORDER BY n DESC, customer LIMIT 10"),
    "join, group by": (
        "SELECT c.country, c.segment, count(*) AS n, sum(e.amount) AS amount FROM events AS e "
        "JOIN customers AS c ON e.customer = c.customer WHERE e.quantity > 5 "
        "GROUP BY c.country, c.segment ORDER BY c.country, c.segment"),
    "top 100 of all rows": (
        "SELECT amount, id, code, path FROM events ORDER BY amount DESC, id LIMIT 100"),
    "count distinct": (
        "SELECT region, count(DISTINCT customer) AS customers, count(DISTINCT code) AS codes "
        "FROM events GROUP BY region ORDER BY region"),
    "LIKE": "SELECT count(*) AS n FROM events WHERE path LIKE '%garden%lamp%7%'",
    "rows out, one in 10": (
        "SELECT id, sold, customer, product, amount FROM events WHERE quantity IN (3, 17)"),
}
COLD = "filter and sum", "join, group by"
UNORDERED = "rows out, one in 10"


def same(mine, theirs):
    if isinstance(mine, float) or isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=1e-9)
    return mine == theirs


def compare(name, query, ours, theirs):
    """The answers must be the same, but for the last bits of sums and the types of columns."""
    if ours.num_rows != theirs.num_rows:
        raise Failure(f"{name} has {theirs.num_rows} rows for \"{query}\", Tarn {ours.num_rows}")
    if query == UNORDERED:
        ours = ours.group_by([]).aggregate([("id", "sum"), ("customer", "sum"), ("amount", "sum")])
        theirs = theirs.group_by([]).aggregate([("id", "sum"), ("customer", "sum"), ("amount", "sum")])
    for mine, other in zip(ours.to_pylist(), theirs.to_pylist()):
        if not all(same(a, b) for a, b in zip(mine.values(), other.values())):
            raise Failure(f"{name} answers \"{query}\" otherwise: {other}, Tarn {mine}")


def check_answers(house, server, peers):
    say("  comparing the answers")
    for query, text in QUERIES.items():
        ours = house.folder / "ours.arrow"
        server.query(text, ours)
        for name, peer in peers.items():
            path = house.folder / f"{name}.arrow"
            peer.call("query", text=text, save=str(path))
            compare(name, query, read_arrow(ours), read_arrow(path))


def ask(query):
    return lambda name, system, i: system.call("query", text=QUERIES[query])


def warm(house, systems, rounds, suffix):
    for query in QUERIES:
        yield Measure(f"{query}, {suffix}", *turns(systems, rounds, ask(query)))


def cold(house, data, files):
    """The first question to a system that has just started, its files not in the page cache."""
    every = [path for paths in files.values() for path in paths]

    def first(query):
        def action(name, _, i):
            system = house.serve(data) if name == "Tarn" else house.peer(name)
            try:
                system.open(files) if name == "Tarn" else system.call("open", files=files)
                drop_from_page_cache(every)
                return system.call("query", text=QUERIES[query])
            finally:
                house.stop(system)
        return action

    for query in COLD:
        yield Measure(f"{query}, cold",
                      *turns(dict.fromkeys(("Tarn", *PEERS)), COLD_ROUNDS, first(query)))


def measure(house):
    server = house.serve("tarn", "--hot-asks", "0")
    for name in "events", "customers":
        server.upload(name, house.made[name, "parquet"])
    files = {name: server.files(name) for name in ("events", "customers")}
    peers = house.peers(*PEERS)
    for peer in peers.values():
        peer.call("open", files=files)
    check_answers(house, server, peers)
    rounds = max(house.rounds, 5)
    say(f"  warm, {rounds} rounds")
    yield from warm(house, {"Tarn": server, **peers}, rounds, "warm")
    house.stop(server)
    say("  warm, Tarn with its hot cache")
    server = house.serve("tarn")
    for _ in range(HOT_ASKS):
        for query in QUERIES.values():
            server.query(query)
    yield from warm(house, {"Tarn": server, **peers}, rounds, "hot cache")
    house.close()
    say(f"  cold, {COLD_ROUNDS} rounds")
    yield from cold(house, "tarn", files)
