"""10,000 rows changed by key, half of them new, then 10,000 deleted: one commit each."""

import random

from peers_house import Failure, Measure, clocked, read_arrow, say, turns, write_arrow

ORDER = 50
PEERS = "PyIceberg", "DuckLake"
ROWS = 1_000_000
CHANGED = 10_000
ROUNDS = 3

TABLE = ("SELECT CAST(id AS BIGINT) AS id, CAST(id % 1000 AS BIGINT) AS customer, "
         "'region ' || id % 7 AS region, (id * 31 + {salt}) % 100000 / 100.0::DOUBLE AS amount, "
         "'note ' || id AS note FROM {source}")


def make(house):
    """Arrow files: the table, and for each round what is upserted and what is deleted."""
    import duckdb
    import pyarrow

    def rows(name, ids, salt):
        source = pyarrow.table({"id": ids})
        duckdb.register("ids", source)
        table = duckdb.sql(TABLE.format(salt=salt, source="ids")).to_arrow_table()
        return write_arrow(house.folder / f"{name}.arrow", table)

    draw = random.Random(11)
    base = rows("base", range(ROWS), 0)
    upserts, deletes = [], []
    for i in range(ROUNDS):
        old = draw.sample(range(ROWS), CHANGED // 2)
        new = range(ROWS + i * CHANGED, ROWS + i * CHANGED + CHANGED // 2)
        upserts.append(rows(f"upsert{i}", [*old, *new], i + 1))
        gone = draw.sample(range(i * ROWS // ROUNDS, (i + 1) * ROWS // ROUNDS), CHANGED)
        table = pyarrow.table({"id": pyarrow.array(gone, pyarrow.int64())})
        deletes.append(write_arrow(house.folder / f"delete{i}.arrow", table))
    return base, {"upsert": upserts, "delete": deletes}


def send(server, mode, path):
    with open(path, "rb") as body:
        server.request("POST", f"/ingest/delta?dataset=t&mode={mode}&key=id&format=arrow", body.read())


def measure(house):
    base, changes = make(house)
    server = house.serve("tarn")
    server.upload("t", base)
    peers = house.peers(*PEERS)
    for name, peer in peers.items():
        peer.call("load", path=base, folder=str(house.folder / name), name="t")
    failed = set()
    for mode in "upsert", "delete":
        def change(name, system, i):
            if name == "Tarn":
                return clocked(system, lambda: send(system, mode, changes[mode][i]))
            return system.call(mode, path=changes[mode][i])

        say(f"  {mode}, {ROUNDS} rounds")
        systems = {n: s for n, s in {"Tarn": server, **peers}.items() if n not in failed}
        wall, cpu, notes = turns(systems, ROUNDS, change)
        failed |= notes.keys()
        yield Measure(f"{mode} 10,000 rows by key in {ROWS / 1e6:g} M", wall, cpu, notes=notes)
    check(house, server, {n: p for n, p in peers.items() if n not in failed})


def check(house, server, peers):
    path = house.folder / "totals.arrow"
    server.query("SELECT count(*) AS n, round(sum(amount)) AS amount FROM t", path)
    row = read_arrow(path).to_pylist()[0]
    for name, peer in peers.items():
        found = peer.call("totals")[2]
        if found != [row["n"], row["amount"]]:
            raise Failure(f"{name} ends with {found[0]} rows and {found[1]} in all, Tarn with "
                          f"{row['n']} and {row['amount']:.0f}")
