"""One row of all, by a key in the order of the files and by one in no order; medians of all."""

import random

from peers_house import Failure, Measure, say

ORDER = 30
PEERS = "DuckDB", "Quack", "DataFusion", "Polars", "ClickHouse"
COUNT = 40

LOOKUPS = {
    "id": ("by a key in the files' order", "SELECT id, customer, amount, path FROM events WHERE id = ?"),
    "code": ("by a key in no order", "SELECT id, customer, amount, path FROM events WHERE code = ?"),
}


def draw(house, column):
    import duckdb
    ids = random.Random(7).sample(range(house.rows), COUNT)
    rows = duckdb.execute(
        f"SELECT {column} FROM read_parquet('{house.made['events', 'parquet']}') "
        f"WHERE id IN ({', '.join(map(str, ids))}) ORDER BY id").fetchall()
    return [str(row[0]) if column == "id" else f"'{row[0]}'" for row in rows]


def rounds_of(house, systems, text, values):
    """Every single lookup is a time of its own; CPU is that of one on average."""
    wall, cpu, notes = {}, {}, {}
    for i in range(house.rounds):
        for name in [n for n in systems if n not in notes]:
            try:
                _, used, took = systems[name].call("lookups", text=text, values=values)
            except Failure as failure:
                if name == "Tarn":
                    raise
                say(f"  {failure}")
                notes[name] = str(failure)
                continue
            if i > 0:  # the first round warms up
                wall.setdefault(name, []).extend(took)
                cpu.setdefault(name, []).append(used / len(values))
    return wall, cpu, notes


def measure(house):
    server = house.serve("tarn", "--hot-asks", "0")
    server.upload("events", house.made["events", "parquet"])
    files = {"events": server.files("events")}
    peers = house.peers(*PEERS)
    for peer in peers.values():
        peer.call("open", files=files)
    values = {column: draw(house, column) for column in LOOKUPS}
    for column, (title, text) in LOOKUPS.items():
        yield Measure(f"one row {title}, warm",
                      *rounds_of(house, {"Tarn": server, **peers}, text, values[column]))
    house.stop(server)
    server = house.serve("tarn")
    for _ in range(6):
        server.lookups(LOOKUPS["id"][1], values["id"])
    for column, (title, text) in LOOKUPS.items():
        yield Measure(f"one row {title}, hot cache",
                      *rounds_of(house, {"Tarn": server, **peers}, text, values[column]))
