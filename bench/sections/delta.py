"""Rows that change: what deletes and small deltas cost a query, and how many upserts a second there are."""

import http.client
import json
import random
import threading
import time

from bench_house import REQUEST_SECONDS, Figure, Failure, best, clocked, ms, say

ORDER = 60
ROWS = 1_000_000
ROUNDS = 25
DELTAS = 200
CLIENTS = 16
SECONDS = 8

QUERY = "SELECT count(*) AS n, sum(v) AS v, max(name) AS name FROM {} WHERE g < 50"


def fill(server, dataset, rows=ROWS):
    server.request("POST", f"/ingest/file?dataset={dataset}&format=csv", "id,g,v,name\n" + "".join(
        f"{i},{i % 97},{i * 7 % 1000},name {i % 5000}\n" for i in range(rows)))


def delete(server, dataset, ids):
    server.request("POST", f"/ingest/delta?dataset={dataset}&mode=delete&key=id&format=csv",
                   "id\n" + "".join(f"{i}\n" for i in ids))


def turns(server, names):
    """The best wall time of the query over each dataset, measured in turns."""
    times = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            times[name].append(clocked(server, lambda: server.sql(QUERY.format(name))))
    return {name: best(pairs)[1] for name, pairs in times.items()}


def deletes(server):
    say(f"  {ROWS:,} rows without deletes, with 1,000 and with 100,000")
    draw = random.Random(1)
    for name in ("plain", "thousand", "lots"):
        fill(server, name)
    delete(server, "thousand", draw.sample(range(ROWS), 1_000))
    delete(server, "lots", draw.sample(range(ROWS), 100_000))
    cpu = turns(server, ("plain", "thousand", "lots"))
    for name, count, most in (("thousand", "1,000", 1.15), ("lots", "100,000", 1.5)):
        yield Figure(f"query with {count} deletes in 1 M rows: time", "the same without deletes",
                     "CPU", at_most=most, value=cpu[name] / cpu["plain"],
                     note=f"{ms(cpu[name])}; {ms(cpu['plain'])}")


def small_deltas(server):
    say(f"  {DELTAS} small deltas, before and after compaction")
    fill(server, "deltas")
    draw = random.Random(2)
    for i in range(DELTAS):
        rows = [{"id": draw.randrange(ROWS + 1000), "g": 1, "v": i, "name": "new"}]
        server.request("POST", "/ingest/delta", json.dumps(
            {"dataset": "deltas", "mode": "upsert", "key": "id", "rows": rows, "on_duplicate": "last"}),
            **{"Content-Type": "application/json"})
    before = best([clocked(server, lambda: server.sql(QUERY.format("deltas"))) for _ in range(ROUNDS)])[1]
    server.request("POST", "/query/compact", json.dumps({"dataset": "deltas"}),
                   **{"Content-Type": "application/json"})
    after = best([clocked(server, lambda: server.sql(QUERY.format("deltas"))) for _ in range(ROUNDS)])[1]
    yield Figure(f"query over 1 base and {DELTAS} small deltas: time", "the same after compaction", "CPU",
                 at_most=1.5, value=before / after, note=f"{ms(before)}; {ms(after)}")


class Upserter(threading.Thread):
    def __init__(self, server, number, end):
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_SECONDS)
        self.headers = {"Authorization": "Bearer " + server.token, "Content-Type": "application/json"}
        self.draw = random.Random(number)
        self.end = end
        self.done = 0
        self.failed = None

    def run(self):
        while time.monotonic() < self.end and not self.failed:
            row = {"id": self.draw.randrange(2 * ROWS), "g": 1, "v": 1, "name": "upserted"}
            self.connection.request("POST", "/ingest/delta", json.dumps(
                {"dataset": "upserts", "mode": "upsert", "key": "id", "rows": [row]}), self.headers)
            answer = self.connection.getresponse()
            text = answer.read()
            self.failed = None if answer.status == 200 else text[:300]
            self.done += 1


def upserts(server):
    say(f"  single-row upserts by {CLIENTS} clients for {SECONDS} s")
    fill(server, "upserts", 100_000)
    start, cpu = time.monotonic(), server.cpu_us()
    clients = [Upserter(server, i, start + SECONDS) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.monotonic() - start
    if any(c.failed for c in clients):
        raise Failure(next(str(c.failed) for c in clients if c.failed))
    done = sum(c.done for c in clients)
    yield Figure(f"single-row upserts, {CLIENTS} clients, durable", "the clock", "wall", at_least=300,
                 value=done / seconds, unit="/s", note=f"{(server.cpu_us() - cpu) / done / 1e3:.1f} ms CPU each")


def measure(house):
    server = house.serve("delta", "--hot-asks", "0")
    yield from deletes(server)
    yield from upserts(server)
    yield from small_deltas(server)
