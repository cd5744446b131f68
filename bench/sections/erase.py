"""Erasure: from the request to the receipt, with the speed of its two long steps."""

import json
import time

from bench_house import Figure, best, ms, say

ORDER = 75
ROWS = 10_000_000
PARTS = 10
SUBJECTS = 1000


def part(house, i):
    path = house.folder / f"part-{i}.parquet"
    step = ROWS // PARTS
    house.engine.run(
        f"COPY (SELECT printf('CAND-%08d', i) AS candidate_id, 'name ' || (i * 7919 % 500000) AS name, "
        f"printf('p%d@example.com', i % 400000) AS email, md5((i % 250000)::VARCHAR) AS code, "
        f"DATE '2020-01-01' + CAST(i % 2000 AS INTEGER) AS day, (hash(i) % 100000) / 100.0 AS amount "
        f"FROM range({i * step}, {i * step + step}) t(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)", warm=False)
    return path


def measure(house):
    server = house.serve("erase", "--upkeep-background=false")
    say(f"  {SUBJECTS:,} subjects, spread over {ROWS:,} rows in {PARTS} files")
    for i in range(PARTS):
        server.upload("candidates", part(house, i), "&mode=append" if i else "")
    listed = ", ".join(f"'{path}'" for path in server.files("candidates"))
    copy, copy_cpu = best([house.engine.run(
        f"COPY (SELECT * FROM read_parquet([{listed}])) TO '{house.folder}/copy.parquet' "
        "(FORMAT parquet, COMPRESSION zstd)", warm=False)])
    keys = [f"CAND-{i * (ROWS // SUBJECTS):08d}" for i in range(SUBJECTS)]
    start = time.monotonic()
    receipt = json.loads(server.request(
        "POST", "/catalog/datasets/by-name/candidates/erase",
        json.dumps({"row_key_column": "candidate_id", "row_key_values": keys}), **{"Content-Type": "application/json"}))
    whole = time.monotonic() - start
    timing = receipt["timing"]
    rewrite, scan = timing["rewrite_ms"] / 1000, timing["scan_ms"] / 1000
    rows = sum(d["rows_removed"] for d in receipt["datasets"])
    yield Figure(f"erasure of {rows:,} rows of {SUBJECTS:,} subjects in {ROWS // 1_000_000} M: request to receipt",
                 "one COPY of all rows", "wall", value=whole * 1e6 / copy,
                 note=f"{whole:.1f} s; {ms(copy)}; {'clean' if receipt['scan']['clean'] else 'NOT CLEAN'}")
    yield Figure("its rewrite", "nothing", "", value=timing["rewrite_bytes"] / 1e6 / rewrite, unit="MB/s",
                 note=f"{rewrite:.1f} s, {timing['rewrite_bytes'] / 1e6:.0f} MB of Parquet")
    yield Figure("its scan of all that remains", "nothing", "", value=timing["scan_bytes"] / 1e6 / scan, unit="MB/s",
                 note=f"{scan:.1f} s, {timing['scan_bytes'] / 1e6:.0f} MB of objects, {receipt['scan']['rows']:,} rows")
    yield Figure("memory of the server, most ever", "nothing", "", value=server.memory_mb("VmHWM"), unit="MB")
