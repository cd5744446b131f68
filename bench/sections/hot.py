"""The made-up agency (candidates, 100 k rows; placements, 1.47 M): in memory, as files, and the engine's own tables."""

import json
import statistics
import time

from bench_house import Figure, clocked, ms, say

ORDER = 25
ROUNDS = 25
NAMES = ("candidates", "placements")

WHOLE = ("SELECT * FROM {candidates} WHERE state = 'CO' AND status = 'active' AND years_experience >= 28 "
         "ORDER BY candidate_id LIMIT 50")
FILTER = ("SELECT candidate_id, first_name, last_name, email, phone, city, skills, desired_rate FROM {candidates} "
          "WHERE state = 'CO' AND status = 'active' AND years_experience >= 28 ORDER BY candidate_id LIMIT 50")
JOIN = ("SELECT c.vertical, count(*) AS n, avg(p.bill_rate) AS rate FROM {placements} p "
        "JOIN {candidates} c ON c.candidate_id = p.candidate_id WHERE p.status <> 'cancelled' "
        "GROUP BY c.vertical ORDER BY n DESC, c.vertical")


def pin(server):
    """Bytes and milliseconds of both."""
    shown = [json.loads(server.request("POST", "/query/cache/pin", json.dumps({"dataset": name}),
                                       **{"Content-Type": "application/json"})) for name in NAMES]
    return sum(s["bytes"] for s in shown), sum(s["load_ms"] for s in shown)


def rounds(house, cold, hot, sql):
    """Medians of (wall, CPU) of the same SQL by the three, in turns."""
    times = {"cold": [], "hot": [], "engine": []}
    plain = sql.format(**{name: name for name in NAMES})
    for i in range(ROUNDS + 1):
        one = {"cold": clocked(cold, lambda: cold.sql(plain)), "hot": clocked(hot, lambda: hot.sql(plain)),
               "engine": house.engine.run(plain, warm=i == 0)}
        for who in times if i > 0 else ():
            times[who].append(one[who])
    return {who: tuple(statistics.median(t[k] for t in many) for k in (0, 1)) for who, many in times.items()}


def compared(what, m, against_cold):
    note = ", ".join(f"{who} {ms(m[who][1])}" for who in ("hot", "cold", "engine")) + \
        f"; wall {ms(m['hot'][0])}, {ms(m['cold'][0])}, {ms(m['engine'][0])}; medians"
    yield Figure(f"{what}, hot: speed", "the same from Parquet files", "CPU",
                 at_least=against_cold, value=m["cold"][1] / m["hot"][1], note=note)
    yield Figure(f"{what}, hot: time", "the engine's own tables, by C API", "CPU", at_most=1.1,
                 value=m["hot"][1] / m["engine"][1])


def measure(house):
    cold = house.serve("cold", "--demo", "--hot-asks", "0")
    house.serve("hot", "--demo").stop()
    hot = house.serve("hot", "--hot-asks", "0")  # anew: what it takes from here on is the cache's
    hot.sql("SELECT count(*) FROM candidates")
    before = hot.memory_mb("RssAnon")
    size, load_ms = pin(hot)
    time.sleep(1)
    after = hot.memory_mb("RssAnon")
    yield Figure("candidates and placements in memory", "", "", at_most=250, value=size / 1e6, unit="MB",
                 note=f"the engine's count; the process grew by {after - before:.0f} MB; loaded in {load_ms:.0f} ms")
    for name in NAMES:
        files = ", ".join(f"'{f}'" for f in hot.files(name))
        house.engine.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_parquet([{files}])")
    say(f"  {ROUNDS} rounds of each, in turns")
    yield from compared("filter of 100 k rows, all columns", rounds(house, cold, hot, WHOLE), 3)
    yield from compared("filter of 100 k rows, 8 columns", rounds(house, cold, hot, FILTER), 3)
    yield from compared("join of 1.47 M rows", rounds(house, cold, hot, JOIN), 1)
