"""What an agent reads through a masked view, against the same on the raw table; and the making of masked files."""

import json
import time

from bench_house import FLIGHTS, Figure, best, clocked, ms, say

ORDER = 60
ROUNDS = 20
MAKES = 5
SMALL_ROUNDS = 8
SMALL_QUERIES = 200
COLUMNS = ["date", "delay", "distance", "origin", "destination"]


class Agent:
    """Asks with the token of a role that may read views alone."""

    def __init__(self, server):
        role = {"grants": [{"object": "view:*", "rights": ["read"]}]}
        server.request("PUT", "/auth/roles/agent", json.dumps(role).encode(),
                       **{"Content-Type": "application/json"})
        token = {"principal": "agent", "roles": ["agent"]}
        made = server.request("POST", "/auth/tokens", json.dumps(token).encode(),
                              **{"Content-Type": "application/json"})
        self.server = server
        self.token = json.loads(made)["token"]

    def sql(self, sql):
        return self.server.request("POST", "/query/sql", sql.encode(), Accept="application/json",
                                   Authorization="Bearer " + self.token,
                                   **{"Content-Type": "text/plain"})


def put_view(server, **view):
    server.request("POST", "/catalog/views", json.dumps({"replace": True, **view}).encode(),
                   **{"Content-Type": "application/json"})


def safe_flights(server, threshold):
    """Each threshold is another definition, through which all rows pass."""
    put_view(server, name="safe_flights", base_dataset="flights", columns=COLUMNS,
             row_filter=f"distance > {-threshold}", column_redactions={"destination": "hash"})


def aggregate(server, agent):
    sql = ("SELECT origin, count(*) AS n, avg(delay) AS delay FROM {} WHERE distance > 500 "
           "GROUP BY origin ORDER BY n DESC, origin LIMIT 10")
    safe_flights(server, 1)
    say(f"  aggregating 3 M rows through a view, {ROUNDS} rounds")
    if json.loads(agent.sql(sql.format("safe_flights")))["rows"] != \
            json.loads(server.sql(sql.format("flights")))["rows"]:
        raise SystemExit("bench: the view does not answer as the table does")
    ours, raw = [], []
    for _ in range(ROUNDS):
        ours.append(clocked(server, lambda: agent.sql(sql.format("safe_flights"))))
        raw.append(clocked(server, lambda: server.sql(sql.format("flights"))))
    wall, raw_wall = best(ours)[0], best(raw)[0]
    yield Figure("aggregate over a masked view of 3 M rows: time", "the same on the raw table",
                 "wall", at_most=1.2, value=wall / raw_wall, note=f"{ms(wall)}; {ms(raw_wall)}")


def making(house, server, agent):
    say(f"  making masked files of 3 M rows, {MAKES} rounds")
    files = "read_parquet([" + ", ".join(f"'{f}'" for f in server.files("flights")) + "])"
    copy = (f"COPY (SELECT {', '.join(COLUMNS)} FROM {files}) TO "
            f"'{house.folder / 'copy.parquet'}' (FORMAT parquet)")
    ours, theirs = [], []
    for i in range(MAKES):
        safe_flights(server, 100 + i)
        ours.append(clocked(server, lambda: agent.sql("SELECT count(*) AS n FROM safe_flights")))
        theirs.append(house.engine.run(copy, warm=False))
    (wall, cpu), (their_wall, their_cpu) = best(ours), best(theirs)
    yield Figure("making the masked files: speed", "COPY of the same columns by the engine",
                 "wall", at_least=0.7, value=their_wall / wall,
                 note=f"{ms(wall)}; {ms(their_wall)} (CPU {ms(cpu)}; {ms(their_cpu)}), "
                      "one column hashed")


def small(server, agent):
    rows = b"".join(b"%d,name %d\n" % (i, i) for i in range(1000))
    server.request("POST", "/ingest/file?dataset=small&format=csv", b"id,name\n" + rows)
    put_view(server, name="safe_small", base_dataset="small", columns=["id", "name"],
             row_filter="id <> 3", column_redactions={})
    sql = "SELECT name FROM {} WHERE id = 17"

    def many(ask, table):
        start = time.monotonic()
        for _ in range(SMALL_QUERIES):
            ask(sql.format(table))
        return (time.monotonic() - start) / SMALL_QUERIES * 1000

    say(f"  small queries by an agent, {SMALL_ROUNDS} rounds of {SMALL_QUERIES}")
    agent.sql(sql.format("safe_small"))
    ours, admin = [], []
    for _ in range(SMALL_ROUNDS):
        ours.append(many(agent.sql, "safe_small"))
        admin.append(many(server.sql, "small"))
    yield Figure("small query by a restricted principal: more than by an admin",
                 "the same on the raw table", "wall", at_most=3, value=min(ours) - min(admin),
                 unit="ms", note=f"{min(ours):.2f} ms; {min(admin):.2f} ms")


def measure(house):
    server = house.serve("views", "--hot-asks", "0")
    server.upload("flights", FLIGHTS)
    agent = Agent(server)
    yield from aggregate(server, agent)
    yield from making(house, server, agent)
    yield from small(server, agent)
