"""Compaction: its speed against one COPY of the same rows by the engine, and the server's memory."""

import json

from bench_house import Figure, best, clocked, ms, say

ORDER = 65
PARTS = 16
ROWS = 4_000_000
ROUNDS = 3


def parts(house):
    """Files that an ingest would have made, of numbers, texts, dates and times."""
    step = ROWS // PARTS
    for i in range(PARTS):
        path = house.folder / f"part-{i}.parquet"
        house.engine.run(
            f"COPY (SELECT i AS id, hash(i) % 1000000 AS customer, 'order ' || (i * 7919 % 500000) AS name, "
            f"md5((i % 250000)::VARCHAR) AS code, DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS day, "
            f"TIMESTAMP '2026-01-01' + to_seconds(i) AS at, (hash(i) % 100000) / 100.0 AS amount, "
            f"i % 3 = 0 AS paid FROM range({i * step}, {i * step + step}) t(i)) "
            f"TO '{path}' (FORMAT parquet, COMPRESSION zstd)", warm=False)
        yield path


def compact(server, name, **options):
    return json.loads(server.request("POST", "/query/compact", json.dumps({"dataset": name, **options}),
                                     **{"Content-Type": "application/json"}))


def speed(house, server, name, files):
    """A dataset of these files, made anew for each round, compacted and copied in turns."""
    copies, compactions, done = [], [], None
    for i in range(ROUNDS):
        dataset = f"{name}_{i}"
        for path in files:
            server.upload(dataset, path, "" if path == files[0] else "&mode=append")
        listed = ", ".join(f"'{path}'" for path in server.files(dataset))
        copies.append(house.engine.run(
            f"COPY (SELECT * FROM read_parquet([{listed}])) TO '{house.folder}/copy.parquet' "
            "(FORMAT parquet, COMPRESSION zstd)", warm=False))
        holder = []
        compactions.append(clocked(server, lambda d=dataset, h=holder: h.append(compact(server, d))))
        done = holder[0]
    (copy, copy_cpu), (whole, whole_cpu) = best(copies), best(compactions)
    yield Figure(f"compaction of {done['files_read']} files, {done['rows'] / 1e6:.1f} M rows: speed",
                 "one COPY of the same rows", "wall", at_least=0.8, value=copy / whole,
                 note=f"{ms(copy)}; {ms(whole)} with reading back; CPU {ms(copy_cpu)}; {ms(whole_cpu)}")


def measure(house):
    server = house.serve("compact", "--upkeep-background=false")
    say(f"  {ROWS:,} rows in {PARTS} files, {ROUNDS} times; then sorted")
    files = list(parts(house))
    yield from speed(house, server, "made", files)
    yield Figure("memory of the server after compactions, most ever", "nothing", "", at_most=1024,
                 value=server.memory_mb("VmHWM"), unit="MB")
    done = compact(server, "made_0", cluster_by=["code"], target_bytes=32 << 20)
    yield Figure(f"the same after sorting {done['rows'] / 1e6:.1f} M rows by a text", "nothing", "",
                 at_most=1024, value=server.memory_mb("VmHWM"), unit="MB",
                 note=f"{done['duration_ms']} ms, {done['files_after']} files")
