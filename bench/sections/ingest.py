"""Uploading a CSV of 1,000,000 rows until it is committed, against the engine's own COPY of it."""

from bench_house import Figure, best, clocked, ms, say

ORDER = 10
ROWS = 1_000_000
ROUNDS = 7


def make_csv(house, path):
    say(f"  making {path.name}: {ROWS:,} rows, 10 columns")
    house.engine.run(
        "COPY (SELECT i AS id, 'customer ' || (i * 7919 % 100000) AS customer, "
        "DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS day, "
        "TIMESTAMP '2026-01-01' + to_seconds(i) AS at, (i * 31 % 1000000) / 100.0 AS amount, "
        "i % 17 AS quantity, i % 3 = 0 AS paid, "
        "['north','south','east','west'][1 + i % 4] AS region, "
        "hash(i) % 1000000007 AS code, CASE WHEN i % 10 = 0 THEN NULL ELSE 'note ' || i END AS note "
        f"FROM range({ROWS}) t(i)) TO '{path}' (FORMAT csv, HEADER)", warm=False)


def measure(house):
    csv = house.folder / "million.csv"
    make_csv(house, csv)
    server = house.serve("ingest")
    out = house.folder / "copy.parquet"
    copy = f"COPY (FROM read_csv('{csv}')) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
    ours, theirs = [], []
    for i in range(ROUNDS):
        say(f"  round {i + 1} of {ROUNDS}")
        ours.append(clocked(server, lambda: server.upload(f"m{i}", csv)))
        theirs.append(house.engine.run(copy, warm=i == 0))
    (wall, cpu), (copy_wall, copy_cpu) = best(ours), best(theirs)
    for clock, us, copy_us in ("CPU", cpu, copy_cpu), ("wall", wall, copy_wall):
        yield Figure("ingest CSV, 1 M rows x 10 columns: speed", "the engine's own COPY", clock,
                     at_least=0.85, value=copy_us / us,
                     note=f"{ms(us)} with upload, hash and commit; {ms(copy_us)}")
