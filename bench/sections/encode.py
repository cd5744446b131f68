"""Rows to bytes inside one process: a jansson tree, our NDJSON, our Arrow, in turns."""

from bench_house import Figure, ms

ORDER = 30


def measure(house):
    cost = house.engine.ask("encode 1000000")
    tree, ndjson, arrow = cost["tree_us"], cost["ndjson_us"], cost["arrow_us"]
    for name, us in ("NDJSON", ndjson), ("Arrow", arrow):
        yield Figure(f"1 M rows x 5 columns to {name}: speed", "building them as a jansson tree",
                     "CPU", at_least=5, value=tree / us,
                     note=f"{ms(us)}; {ms(tree)}, and {ms(cost['dump_us'])} more to write it")
    yield Figure("1 M rows x 5 columns to Arrow: speed", "NDJSON", "CPU", at_least=2,
                 value=ndjson / arrow, note=f"{ms(arrow)}; {ms(ndjson)}")
