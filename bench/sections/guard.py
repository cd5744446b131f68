"""The guard on a statement that it has not seen before, against the engine's own parser."""

import re

from bench_house import Failure, Figure, say

ORDER = 25
ROUNDS = 8
STATEMENTS = 250

# Two common table expressions and three joins; the number makes each text a new one.
SQL = """
    WITH recent AS (SELECT origin, destination, delay, distance FROM flights
                    WHERE distance > {} AND date >= '2001-01-01'),
         busy AS (SELECT origin, count(*) AS n, avg(delay) AS mean FROM recent
                  GROUP BY origin HAVING count(*) > 100)
    SELECT a.name, c.country, b.n, round(b.mean, 2) AS mean, max(r.delay) AS worst
    FROM recent r JOIN busy b ON b.origin = r.origin JOIN airports a ON a.iata = r.origin
         LEFT JOIN countries c ON c.code = a.country
    WHERE r.delay BETWEEN 5 AND 500 AND a.name LIKE '%field%'
    GROUP BY ALL ORDER BY b.n DESC, a.name LIMIT 20"""


class Numbers:
    """Statements, no two of which are equal."""

    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return " ".join(SQL.format(self.count).split())


def guard_us(server, sql):
    """What Server-Timing says of the guard."""
    headers = {"Authorization": "Bearer " + server.token, "Content-Type": "text/plain"}
    server.connection.request("POST", "/query/sql", sql.encode(), headers)
    answer = server.connection.getresponse()
    data = answer.read()
    found = re.search(r"guard;dur=([0-9.]+)", answer.headers.get("Server-Timing", ""))
    if answer.status != 200 or not found:
        raise Failure(f"{answer.status} {data[:300]!r}")
    return float(found.group(1)) * 1e3


def measure(house):
    server = house.serve("guard")
    for name, columns in (("flights", "date,origin,destination,delay,distance"), ("airports", "iata,name,country"),
                          ("countries", "code,country")):
        line = ",".join("2001-02-03" if c == "date" else "7" if c in ("delay", "distance") else "x"
                        for c in columns.split(","))
        server.request("POST", f"/ingest/file?dataset={name}&format=csv", f"{columns}\n{line}\n".encode())
    numbers = Numbers()
    say(f"  a statement of two CTEs and three joins, {ROUNDS} rounds of {STATEMENTS}")
    ours, theirs = [], []
    for i in range(ROUNDS):
        ours.append(sorted(guard_us(server, numbers.next()) for _ in range(STATEMENTS))[STATEMENTS // 2])
        parse = "SELECT json_serialize_sql('" + numbers.next().replace("'", "''") + "')"
        theirs.append(house.engine.run(parse, STATEMENTS, warm=i == 0)[1])
    us, their_us = min(ours), min(theirs)
    yield Figure("guard on 2 CTEs and 3 joins, a new text", "", "wall", at_most=0.5, value=us / 1e3, unit="ms",
                 note="median of the best round")
    yield Figure("the same: time", "the engine's own parse to JSON", "CPU", value=us / their_us,
                 note=f"{us:.0f} us; {their_us:.0f} us")
