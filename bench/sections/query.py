"""The same SQL over the same files: through HTTP, and through the engine's C API."""

from bench_house import FLIGHTS, Figure, best, clocked, ms, say

ORDER = 20
ROUNDS = 40
SMALL_ROUNDS = 8
SMALL_QUERIES = 250


def aggregate(house, server):
    server.upload("flights", FLIGHTS)
    files = "read_parquet([" + ", ".join(f"'{f}'" for f in server.files("flights")) + "])"
    sql = ("SELECT origin, count(*) AS n, avg(delay) AS delay FROM {} WHERE distance > 500 "
           "GROUP BY origin ORDER BY n DESC, origin LIMIT 10")
    say(f"  aggregating 3 M rows, {ROUNDS} rounds")
    ours, theirs = [], []
    for i in range(ROUNDS):
        ours.append(clocked(server, lambda: server.sql(sql.format("flights"))))
        theirs.append(house.engine.run(sql.format(files), warm=i == 0))
    (wall, cpu), (their_wall, their_cpu) = best(ours), best(theirs)
    yield Figure("filter and aggregate 3 M rows over HTTP: time", "the same SQL by the C API",
                 "wall", at_most=1.15, value=wall / their_wall,
                 note=f"{ms(wall)}; {ms(their_wall)} (CPU {ms(cpu)}; {ms(their_cpu)})")


def small(house, server):
    rows = b"".join(b"%d,name %d\n" % (i, i) for i in range(1000))
    server.request("POST", "/ingest/file?dataset=small&format=csv", b"id,name\n" + rows)
    files = "read_parquet(['" + server.files("small")[0] + "'])"
    sql = "SELECT name FROM {} WHERE id = 17"

    def many():
        for _ in range(SMALL_QUERIES):
            server.sql(sql.format("small"))

    say(f"  small queries on one connection, {SMALL_ROUNDS} rounds of {SMALL_QUERIES}")
    ours, theirs = [], []
    for i in range(SMALL_ROUNDS):
        ours.append(clocked(server, many))
        theirs.append(house.engine.run(sql.format(files), SMALL_QUERIES, warm=i == 0))
    cpu, their_cpu = best(ours)[1] / SMALL_QUERIES, best(theirs)[1]
    yield Figure("small query, keep-alive: time", "the same SQL by the C API", "CPU", at_most=2,
                 value=cpu / their_cpu, note=f"{cpu:.0f} us; {their_cpu:.0f} us")


def measure(house):
    server = house.serve("query", "--hot-asks", "0")
    yield from aggregate(house, server)
    yield from small(house, server)
