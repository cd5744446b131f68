"""When two values are the same: exactly, and NaN is NaN, and zero has a sign."""

import math
import uuid


def exact(value):
    """A form in which equal means the same."""
    if isinstance(value, float):
        return ("float", "nan") if math.isnan(value) else ("float", value, math.copysign(1, value))
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [exact(v) for v in value]
    if isinstance(value, tuple):
        return tuple(exact(v) for v in value)
    if isinstance(value, dict):
        return {k: exact(v) for k, v in value.items()}
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def in_order(table, key="k"):
    """Columns of exact values, the rows in the order of the key."""
    columns = {name: [exact(v) for v in column.to_pylist()] for name, column in zip(table.column_names, table.columns)}
    order = sorted(range(table.num_rows), key=columns[key].__getitem__)
    return {name: [values[i] for i in order] for name, values in columns.items()}


def difference(ours, theirs):
    """The first one between two tables, in words, or None."""
    if list(ours) != list(theirs):
        return f"columns {list(theirs)}, not {list(ours)}"
    for name in ours:
        if len(ours[name]) != len(theirs[name]):
            return f"{len(theirs[name])} rows, not {len(ours[name])}"
        for k, a, b in zip(ours["k"], ours[name], theirs[name]):
            if a != b:
                return f"column {name}, k = {k}: {b!r}, not {a!r}"
    return None
