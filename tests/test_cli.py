"""The command line against a running server: what it prints where, in which form, and how it ends."""

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import arrow
from conftest import TARN as PROGRAM, Server, command, environment, wait_until

TARN = os.path.abspath(PROGRAM)

PEOPLE = "id,name,score,born\n1,Ann,1.5,2001-02-03\n2,\"Bob, Jr.\",,1999-12-31\n3,Çelik,-2.25,\n"
SQL = "SELECT * FROM people ORDER BY id"


@pytest.fixture(scope="module")
def t(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("module") / "data")
    server.ingest("people", PEOPLE)
    yield server
    server.stop()


def run(t, *words, **more):
    return command(*words, server=t, **more)


def good(done):
    """Standard output of a command that went well and had nothing to say beside it."""
    assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stdout, done.stderr)
    return done.stdout


def failed(done, code, *words):
    """A failure says all its words on standard error, as one line of ours, and nothing on standard output."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == "" and done.stderr.startswith("tarn: "), (done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, done.stderr


# query

def test_query_draws_a_table(t):
    lines = good(run(t, "query", SQL)).splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == ["id", "name", "score", "born"] or "name" in lines[0]
    text = "\n".join(lines)
    for cell in ("Ann", "Bob, Jr.", "Çelik", "-2.25", "2001-02-03"):
        assert cell in text
    assert len({len(line) for line in lines if line.strip()}) <= 3, "the columns do not line up"


def test_query_makes_markdown(t):
    lines = good(run(t, "query", "-o", "markdown", SQL)).splitlines()
    assert len(lines) == 5 and all(line.startswith("|") and line.endswith("|") for line in lines)
    assert [c.strip() for c in lines[0].strip("|").split("|")] == ["id", "name", "score", "born"]
    assert set(lines[1]) <= set("|-: ")


def test_query_makes_csv_and_tsv(t):
    rows = list(csv.reader(io.StringIO(good(run(t, "query", "-o", "csv", SQL)))))
    assert rows == [["id", "name", "score", "born"], ["1", "Ann", "1.5", "2001-02-03"],
                    ["2", "Bob, Jr.", "", "1999-12-31"], ["3", "Çelik", "-2.25", ""]]
    lines = good(run(t, "query", "-o", "tsv", SQL)).splitlines()
    assert lines[0] == "id\tname\tscore\tborn" and lines[2].startswith("2\tBob, Jr.\t")


def test_query_makes_json_and_ndjson(t):
    expected = [{"id": 1, "name": "Ann", "score": 1.5, "born": "2001-02-03"},
                {"id": 2, "name": "Bob, Jr.", "score": None, "born": "1999-12-31"},
                {"id": 3, "name": "Çelik", "score": -2.25, "born": None}]
    assert json.loads(good(run(t, "query", "-o", "json", SQL))) == expected
    assert [json.loads(line) for line in good(run(t, "query", "-o", "ndjson", SQL)).splitlines()] == expected


def test_query_makes_arrow(t):
    done = run(t, "query", "-o", "arrow", SQL, text=False)
    assert done.returncode == 0 and done.stderr == b""
    stream = arrow.Stream(done.stdout)
    assert stream.names == ["id", "name", "score", "born"] and stream.columns[1] == ["Ann", "Bob, Jr.", "Çelik"]


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "tsv", "json", "ndjson", "arrow"])
def test_a_result_without_rows_is_a_result(t, form):
    done = run(t, "query", "-o", form, "SELECT id, name FROM people WHERE false", text=False)
    assert done.returncode == 0 and done.stderr == b""
    if form == "json":
        assert json.loads(done.stdout) == []
    elif form == "ndjson":
        assert done.stdout == b""
    elif form == "arrow":
        assert arrow.Stream(done.stdout).rows == []
    else:
        assert b"id" in done.stdout and b"name" in done.stdout


def test_a_statement_may_come_from_a_file_or_standard_input(t, tmp_path):
    file = tmp_path / "q.sql"
    file.write_text(SQL)
    by_word = good(run(t, "query", "-o", "csv", SQL))
    assert good(run(t, "query", "-o", "csv", "-f", str(file))) == by_word
    assert good(run(t, "query", "-o", "csv", "-", stdin=SQL)) == by_word


def test_numbers_are_shown_exactly(t):
    sql = "SELECT 9007199254740993 AS big, 12345678901234567890.12::DECIMAL(38,2) AS d"
    for form in ("table", "markdown", "csv", "tsv", "ndjson", "json"):
        text = good(run(t, "query", "-o", form, sql))
        assert "9007199254740993" in text and "12345678901234567890.12" in text


def test_a_cut_result_says_so_on_standard_error(t):
    done = run(t, "query", "-o", "csv", "-n", "2", SQL)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3
    done = run(t, "query", "-n", "2", SQL)
    assert done.returncode == 0 and "--max-rows" in done.stderr and "Ann" in done.stdout


def test_text_of_a_cell_cannot_steer_the_terminal(t):
    text = good(run(t, "query", "SELECT chr(27) || '[31mred' || chr(7) AS c"))
    assert "\x1b" not in text and "\x07" not in text and "red" in text


def test_a_wrong_statement_is_shown_with_its_place(t):
    done = run(t, "query", "SELECT id,\n  nmae FROM people")
    failed(done, 1, "nmae")
    lines = done.stderr.splitlines()
    caret = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert "line 2:" in lines[caret - 1]
    assert lines[caret - 1][lines[caret].index("^"):].startswith("nmae")


def test_a_statement_that_is_not_allowed_is_refused(t):
    for sql in ("COPY people TO 'people.csv'", "SELECT * FROM read_csv('/etc/passwd')", "SET threads = 1"):
        assert run(t, "query", sql).returncode in (1, 4)


def test_a_dataset_that_is_not_there_is_said(t):
    done = run(t, "query", "SELECT * FROM peopel")
    assert done.returncode in (1, 3) and "peopel" in done.stderr and done.stdout == ""


LONG = "SELECT sum(hash(a.i + b.i)::DOUBLE) FROM range(100000) a(i), range(100000000) b(i)"


def test_ctrl_c_ends_a_query_here_and_there(t):
    process = subprocess.Popen([TARN, "query", LONG], env=environment(t), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: t.get("/query/running").json()["queries"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and out == ""
    assert "cancelled" in err
    wait_until(lambda: t.get("/query/running").json()["queries"] == [])


def test_a_reader_that_leaves_ends_the_command(t):
    process = subprocess.Popen([TARN, "query", "-o", "csv", "SELECT i FROM range(50000000) r(i)"], env=environment(t),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) != 0
    process.stderr.close()
    wait_until(lambda: t.get("/query/running").json()["queries"] == [])


# ingest

def test_ingest_names_the_dataset_after_the_file(t, tmp_path):
    (tmp_path / "City Visits-2026.csv").write_text("city,n\nDenver,1\nBoise,2\n")
    line = good(run(t, "ingest", str(tmp_path / "City Visits-2026.csv")))
    assert "-> city_visits_2026: 2 rows, 2 columns" in line and line.count("\n") == 1
    assert t.value("SELECT sum(n) FROM city_visits_2026") == 3
    assert "unchanged" in good(run(t, "ingest", str(tmp_path / "City Visits-2026.csv")))


def test_ingest_takes_standard_input_and_modes(t):
    good(run(t, "ingest", "-", "--dataset", "piped", stdin="a\n1\n"))
    good(run(t, "ingest", "-", "--dataset", "piped", "--mode", "append", stdin="a\n2\n"))
    assert t.value("SELECT sum(a) FROM piped") == 3
    good(run(t, "ingest", "-", "-d", "piped", "-m", "replace", stdin="a\n7\n"))
    assert t.value("SELECT sum(a) FROM piped") == 7
    good(run(t, "ingest", "-", "-d", "piped", "-m", "append", "--evolve", stdin="a,b\n8,x\n"))
    assert t.value("SELECT count(b) FROM piped") == 1


def test_ingest_passes_every_option(t):
    good(run(t, "ingest", "-", "-d", "options", "--bucket", "primary", "--format", "csv", "--header", "no", "--delimiter", ";",
             "--quote", "'", "--encoding", "latin-1", "--reason", "just so", stdin="'a;b';1\n"))
    assert t.sql("SELECT * FROM options", format="arrays") == [["a;b", 1]]
    [entry] = [e for e in t.told() if e["reason"] == "just so"]
    assert "options" in entry["target"]


def test_ingest_prints_json_on_demand(t):
    answer = json.loads(good(run(t, "ingest", "-", "-d", "asjson", "--json", stdin="a\n1\n")))
    assert answer["dataset"] == "asjson" and answer["rows"] == 1


def test_ingest_of_several_files_goes_on_after_a_bad_one(t, tmp_path):
    for name, text in (("one.csv", "a\n1\n"), ("two.csv", "a,b\n1,2\n3\n"), ("three.csv", "a\n3\n")):
        (tmp_path / f"f_{name}").write_text(text)
    done = run(t, "ingest", *(str(tmp_path / f"f_{n}.csv") for n in ("one", "two", "three")))
    assert done.returncode == 1
    assert "f_one: 1 row" in done.stdout and "f_three: 1 row" in done.stdout and "f_two" not in done.stdout
    assert "f_two.csv" in done.stderr and "line 3" in done.stderr


def test_ingest_puts_files_of_one_dataset_together(t, tmp_path):
    for k in (1, 2, 3):
        (tmp_path / f"part{k}.csv").write_text(f"a\n{k}\n")
    good(run(t, "ingest", "-d", "parts", *(str(tmp_path / f"part{k}.csv") for k in (1, 2, 3))))
    assert t.value("SELECT sum(a) FROM parts") == 6


def test_ingest_shows_rejected_rows_on_standard_error(t):
    done = run(t, "ingest", "-", "-d", "rejects", "--on-error", "reject", stdin="a,b\n1,2\n3\n4,5\n")
    assert done.returncode == 0 and "rejects: 2 rows" in done.stdout
    assert "1 row" in done.stderr and "line 3" in done.stderr and "/ingest/rejects/" in done.stderr


def test_a_refused_ingest_says_why_and_ends_by_its_kind(t, tmp_path):
    failed(run(t, "ingest", "-", "-d", "bad", stdin="a,b\n1,2\n3\n"), 1, "line 3", "expected 2 columns", "--on-error reject")
    failed(run(t, "ingest", "-", "-d", "people", stdin="x\n1\n"), 5, "people", "append")
    failed(run(t, "ingest", "-", "-d", "people", "-m", "append", stdin="x\n1\n"), 5, '"x"')
    failed(run(t, "ingest", "-", "-d", "nowhere", "-m", "append", stdin="x\n1\n"), 3, "nowhere")
    failed(run(t, "ingest", "-", "-d", "x", "--bucket", "attic", stdin="x\n1\n"), 3, "attic", "primary")
    failed(run(t, "ingest", "-", "-d", "no name", stdin="x\n1\n"), 2)
    failed(run(t, "ingest", str(tmp_path)), 2, "folder")
    (tmp_path / "empty.csv").write_text("")
    failed(run(t, "ingest", str(tmp_path / "empty.csv")), 1, "empty")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    failed(run(t, "ingest", str(tmp_path / "x.parquet")), 1, "Parquet")


def test_ctrl_c_ends_an_ingest_and_leaves_nothing(t):
    process = subprocess.Popen([TARN, "ingest", "-", "-d", "never"], env=environment(t), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdin.write(b"a,b\n" + b"1,2\n" * 100000)
        process.stdin.flush()
        wait_until(lambda: [f for f in os.listdir(f"{t.data}/spool") if f.startswith("upload-")])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    wait_until(lambda: not [f for f in os.listdir(f"{t.data}/spool") if f.startswith("upload-")])
    assert t.get("/catalog/datasets/by-name/never").status_code == 404


# The catalog

def test_ls_lists_datasets(t):
    lines = good(run(t, "ls")).splitlines()
    assert lines[0].split() == ["name", "rows", "size", "files", "bucket", "updated"] or "name" in lines[0]
    [people] = [line for line in lines if re.search(r"\bpeople\b", line)]
    assert "primary" in people and " 3 " in people
    rows = [json.loads(line) for line in good(run(t, "ls", "--json")).splitlines()]
    assert [r["rows"] for r in rows if r["name"] == "people"] == [3]


def test_ls_of_nothing_ends_well(serve):
    assert run(serve(), "ls").returncode == 0


def test_ls_goes_through_all_pages(serve):
    t = serve()
    for k in range(30):
        t.ingest(f"d{k:03}", "a\n1\n")
    assert len(t.get("/catalog/datasets?limit=10").json()["datasets"]) == 10
    assert len(good(run(t, "ls", "--json")).splitlines()) == 30


def test_describe_shows_columns_and_snapshots(t):
    text = good(run(t, "describe", "people"))
    for word in ("name", "people", "bucket", "primary", "fingerprint", "rows", "snapshot", "born", "date", "not null", "append"):
        assert word in text, text
    answer = json.loads(good(run(t, "describe", "people", "--json")))
    assert [f["name"] for f in answer["schema"]["fields"]] == ["id", "name", "score", "born"]
    failed(run(t, "describe", "nobody"), 3, "nobody")


def test_rename_and_rm(t):
    t.ingest("before", "a\n1\n")
    done = run(t, "rename", "before", "after")
    assert done.returncode == 0 and done.stdout == "" and "after" in done.stderr
    failed(run(t, "rename", "before", "again"), 3, "before")
    failed(run(t, "rename", "after", "people"), 5, "people")
    failed(run(t, "rename", "after", "system"), 2)
    done = run(t, "rm", "after")
    assert done.returncode == 0 and done.stdout == "" and "after is deleted" in done.stderr
    failed(run(t, "rm", "after"), 3, "after")


# Views

def test_a_view_is_put_listed_shown_and_removed(t):
    words = ["view", "put", "mild", "--base", "people", "--columns", "id,name", "--columns", "born", "--filter", "score > 0"]
    done = run(t, *words, "--mask", "name=mask:1,0", "--mask", "born = truncate-to-year", "--reason", "ticket 8")
    assert done.returncode == 0 and done.stdout == "" and "view mild is set, version 1" in done.stderr
    failed(run(t, *words), 5, "mild")
    assert "version 2" in run(t, *words, "--mask", "name=hash", "--replace").stderr
    [line] = [line for line in good(run(t, "view", "ls")).splitlines() if line.startswith("mild")]
    assert line.split() == ["mild", "2", "people", "id,name*,born"]
    lines = [line.split(None, 1) for line in good(run(t, "view", "show", "mild")).splitlines()]
    for part in (["base", "people"], ["filter", "score > 0"], ["column", "id"], ["column", "name=hash"], ["column", "born"]):
        assert part in [[word.strip() for word in line] for line in lines], lines
    assert [line[1].split()[0] for line in lines if line[0] == "version"] == ["2", "1"]
    old = good(run(t, "view", "show", "mild", "--version", "1"))
    assert "name=mask:1,0" in old and "born=truncate-to-year" in old
    assert json.loads(good(run(t, "view", "show", "mild", "--json")))["column_redactions"] == {"name": "hash"}
    assert run(t, "role", "set", "agent", "--grant", "view:mild=read").returncode == 0
    token = run(t, "token", "create", "agnes", "--role", "agent").stdout.strip()
    seen = good(run(t, "view", "show", "mild", TARN_TOKEN=token))
    assert "name=masked" in seen and "score" not in seen and "people" not in seen
    failed(run(t, *words, "--replace", TARN_TOKEN=token), 4)
    failed(run(t, "view", "rotate-key", TARN_TOKEN=token), 4)
    assert "another key" in run(t, "view", "rotate-key", "--reason", "yearly").stderr
    assert "ticket 8" in good(run(t, "journal", "--action", "view.*"))
    done = run(t, "view", "rm", "mild", "--reason", "over")
    assert done.returncode == 0 and done.stdout == "" and "view mild is removed" in done.stderr
    failed(run(t, "view", "show", "mild"), 3, "mild")
    failed(run(t, "view", "rm", "mild"), 3, "mild")


@pytest.mark.parametrize("words, says", [
    ([], "--base"), (["--base", "people"], "--columns"), (["--columns", "id"], "--base"),
    (["--base", "people", "--columns", "*"], "name each column"), (["--base", "people", "--columns", "id,nosuch"], "nosuch"),
    (["--base", "people", "--columns", "name", "--mask", "name"], "COLUMN=MASK"),
    (["--base", "people", "--columns", "name", "--mask", "=hash"], "COLUMN=MASK"),
    (["--base", "people", "--columns", "name", "--mask", "name="], "COLUMN=MASK"),
    (["--base", "people", "--columns", "name", "--mask", "name=mask:1"], "COLUMN=MASK"),
    (["--base", "people", "--columns", "name", "--mask", "name=mask:a,b"], "COLUMN=MASK"),
    (["--base", "people", "--columns", "name", "--mask", "id=hash"], "not among columns"),
    (["--base", "people", "--columns", "name", "--mask", "name=rot13"], "name"),
])
def test_a_view_that_is_not_understood_is_not_made(t, words, says):
    failed(run(t, "view", "put", "odd", *words), 2, says)
    failed(run(t, "view", "show", "odd"), 3)


def test_a_bad_filter_is_shown_with_its_place(t):
    for row_filter, under in (("score > getenv('x')", "getenv"), ("score >", ""), ("score > 1 AND id IN (SELECT id FROM nosuch)", "nosuch")):
        done = run(t, "view", "put", "odd", "--base", "people", "--columns", "id", "--filter", row_filter)
        assert done.returncode in (1, 3, 4) and done.stderr.startswith("tarn: "), done.stderr
        text, caret = done.stderr.splitlines()[-2:]
        assert caret.strip() == "^" and text[caret.index("^"):].startswith(under), done.stderr


# Roles and tokens

def test_a_role_is_set_shown_used_and_removed(t):
    done = run(t, "role", "set", "analyst", "--grant", "dataset:people=read_raw,write", "--grant", "view:*=read",
               "--limit", "rows_max=2", "--limit", "time_ms=60000", "--reason", "ticket 7")
    assert done.returncode == 0 and done.stdout == "" and "analyst is set" in done.stderr
    assert good(run(t, "role", "show", "analyst")).splitlines() == [
        "grant  dataset:people=read_raw,write", "grant  view:*=read", "limit  rows_max=2", "limit  time_ms=60000"]
    [line] = [line for line in good(run(t, "role", "ls")).splitlines() if line.startswith("analyst")]
    assert "dataset:people=read_raw,write view:*=read" in line and "rows_max=2 time_ms=60000" in line
    assert json.loads(good(run(t, "role", "show", "analyst", "--json")))["limits"] == {"rows_max": 2, "time_ms": 60000}
    assert "ticket 7" in good(run(t, "journal", "--action", "role.*"))
    token = run(t, "token", "create", "ann", "--role", "analyst").stdout.strip()
    assert "people" in good(run(t, "ls", TARN_TOKEN=token))
    failed(run(t, "role", "ls", TARN_TOKEN=token), 4)
    failed(run(t, "describe", "nobody", TARN_TOKEN=token), 3)
    listed = good(run(t, "token", "ls"))
    [line] = [line for line in listed.splitlines() if " ann " in line]
    assert re.search(r"ann +analyst +\S+Z +\S+Z$", line.rstrip()), line  # made, never ends, last used
    assert run(t, "role", "set", "analyst").returncode == 0
    assert good(run(t, "role", "show", "analyst")) == ""
    done = run(t, "role", "rm", "analyst")
    assert done.returncode == 0 and "1 token had it" in done.stderr
    failed(run(t, "role", "show", "analyst"), 3)
    failed(run(t, "role", "rm", "admin"), 4)
    failed(run(t, "token", "create", "x", "--role", "analyst"), 2, "analyst")


def test_a_grant_on_what_is_not_there_is_said_and_stands(t):
    done = run(t, "role", "set", "early", "--grant", "view:none_such=read", "--grant", "dataset:nor_this=write",
               "--grant", "dataset:People=read_raw", "--grant", "view:*=read")
    assert done.returncode == 0 and 'no view "none_such"' in done.stderr and 'no dataset "nor_this"' in done.stderr
    assert len(done.stderr.splitlines()) == 3, done.stderr
    assert "view:none_such=read" in good(run(t, "role", "show", "early"))
    assert not t.told(target="view:none_such"), "asking for it looks like an attempt"


def test_describe_knows_views_from_datasets(t):
    assert run(t, "view", "put", "a_view", "--base", "people", "--columns", "id").returncode == 0
    failed(run(t, "describe", "a_view"), 3, "tarn view show a_view")
    failed(run(t, "describe", "no_view"), 3, 'no dataset "no_view"')
    assert run(t, "view", "rm", "a_view").returncode == 0


def test_what_the_roles_cut_is_said_in_every_form(t):
    assert run(t, "role", "set", "narrow", "--grant", "dataset:people=read_raw", "--limit", "rows_max=2").returncode == 0
    token = run(t, "token", "create", "nell", "--role", "narrow").stdout.strip()
    for form in ("table", "markdown", "json", "csv", "tsv", "ndjson", "arrow"):
        done = run(t, "query", "-o", form, "SELECT id FROM people", text=form != "arrow", TARN_TOKEN=token)
        said = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        assert done.returncode == 0 and "was cut" in said and "roles" in said and "--max-rows" not in said, (form, said)
        done = run(t, "query", "-o", form, "SELECT id FROM people LIMIT 2", text=form != "arrow", TARN_TOKEN=token)
        assert done.returncode == 0 and not done.stderr, (form, done.stderr)
    assert run(t, "role", "set", "narrow", "--grant", "dataset:people=read_raw", "--limit", "rows_max=200000").returncode == 0
    done = run(t, "query", "-o", "csv", "SELECT range AS long_enough FROM range(300000)", TARN_TOKEN=token)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 200_001 and "more than 200000 rows" in done.stderr


def test_a_plan_is_drawn_in_lines(t):
    lines = good(run(t, "query", "EXPLAIN SELECT * FROM people")).splitlines()
    assert lines[0] == "plan" and lines[2].startswith("┌") and len(lines) > 5 and not any("\\n" in line for line in lines)


@pytest.mark.parametrize("words, says", [
    (["--grant", "dataset:people"], "OBJECT=RIGHT"), (["--grant", "=write"], "OBJECT=RIGHT"), (["--grant", "dataset:x="], "OBJECT=RIGHT"),
    (["--grant", "people=write"], "an object is"), (["--grant", "dataset:people=read"], "read_raw"),
    (["--limit", "rows_max"], "NAME=NUMBER"), (["--limit", "rows_max=many"], "NAME=NUMBER"), (["--limit", "rows=1"], "rows"),
])
def test_a_role_that_is_not_understood_is_not_set(t, words, says):
    failed(run(t, "role", "set", "odd", *words), 2, says)
    failed(run(t, "role", "show", "odd"), 3)


def test_a_token_is_made_used_listed_and_revoked(t):
    failed(run(t, "token", "create", "nightly"), 2, "--role")
    done = run(t, "token", "create", "nightly", "--role", "admin", "--expires", "30d", "--reason", "ticket 21")
    assert done.returncode == 0 and "only now" in done.stderr
    token = done.stdout.strip()
    assert re.fullmatch(r"\S{20,}", token) and done.stdout == token + "\n" and token not in done.stderr
    assert "people" in good(run(t, "ls", TARN_TOKEN=token))
    listed = good(run(t, "token", "ls"))
    assert "nightly" in listed and token not in listed
    [entry] = [json.loads(line) for line in good(run(t, "token", "ls", "--json")).splitlines() if '"nightly"' in line]
    assert entry["expires_at"]
    done = run(t, "token", "rm", entry["id"], "--reason", "ticket 22")
    assert done.returncode == 0 and done.stdout == ""
    reasons = [line.split()[3:] for line in good(run(t, "journal", "--target", f"token:{entry['id']}")).splitlines()[2:]]
    assert reasons == [["token.revoke", f"token:{entry['id']}", "done", "ticket", "22"],
                       ["token.create", f"token:{entry['id']}", "done", "ticket", "21"]]
    failed(run(t, "ls", TARN_TOKEN=token), 4)
    failed(run(t, "token", "rm", "no-such-token"), 3)


def test_the_token_is_found_in_the_data_folder_a_file_or_the_environment(t, tmp_path):
    assert "people" in good(run(t, "ls", "--data", t.data, TARN_TOKEN=None))
    assert "people" in good(run(t, "ls", TARN_TOKEN=None, TARN_DATA=t.data))
    (tmp_path / "token").write_text(t.token + "\n")
    assert "people" in good(run(t, "ls", "--token-file", str(tmp_path / "token"), TARN_TOKEN=None))
    failed(run(t, "ls", TARN_TOKEN=None, cwd=tmp_path), 4, "TARN_TOKEN", "admin.token")


@pytest.mark.parametrize("words", [["ls"], ["query", "SELECT 1"], ["describe", "people"], ["rm", "people"],
                                   ["rename", "people", "x"], ["token", "ls"], ["token", "create", "x", "--role", "admin"], ["journal", "show"],
                                   ["ingest", "-", "-d", "x"]])
def test_a_wrong_token_is_4_everywhere_and_changes_nothing(t, words):
    failed(run(t, *words, TARN_TOKEN="wrong", stdin="a\n1\n" if words[0] == "ingest" else None), 4, "token")
    assert t.value("SELECT count(*) FROM people") == 3


def test_a_wrong_token_is_said_with_where_it_came_from(t, tmp_path):
    failed(run(t, "ls", TARN_TOKEN="wrong"), 4, "TARN_TOKEN")
    (tmp_path / "admin.token").write_text("wrong\n")
    failed(run(t, "ls", "--data", str(tmp_path), TARN_TOKEN=None), 4, f"{tmp_path}/admin.token")
    failed(run(t, "ls", "--token-file", str(tmp_path / "admin.token"), TARN_TOKEN=None), 4, str(tmp_path))


def test_the_first_step_that_the_server_shows_works(t):
    [line] = [line for line in t.output.splitlines() if line.startswith("  try ")]
    words = line.split("   in another")[0].split()[1:]
    done = subprocess.run(words, env=environment(),
                          capture_output=True, text=True, timeout=60)
    assert "people" in good(done)


def test_a_port_that_is_taken_is_6_and_says_what_to_do(t, tmp_path):
    failed(run(t, "serve", "--data", str(tmp_path / "d"), "--listen", f"{t.host}:{t.port}"), 6, str(t.port), "--listen")


# The rest

def test_journal_shows_who_did_what(t):
    t.ingest("journalled", "a\n1\n", reason="a test")
    lines = good(run(t, "journal", "show")).splitlines()
    assert lines[0].split() == ["seq", "time", "actor", "action", "target", "reason"] or "actor" in lines[0]
    [line] = [line for line in lines if "journalled" in line]
    assert "admin" in line and "dataset.create" in line and "a test" in line
    assert len(good(run(t, "journal", "show", "-n", "2", "--json")).splitlines()) == 2


def test_journal_verify_reads_beside_the_server(t):
    text = good(run(t, "journal", "verify", "--data", t.data))
    facts = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line.strip())
    assert int(facts["records"]) > 0 and facts["verdict"] == "good"


def test_doctor_knows_the_running_server(t):
    done = run(t, "doctor", "--data", t.data, "--listen", f"{t.host}:{t.port}", TARN_URL=None, TARN_TOKEN=None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line[6:].startswith("address")]
    assert "tarn" in line.lower()


def test_version_of_here_and_there(t):
    assert re.match(r"tarn \d+\.\d+", good(run(t, "version")))
    there = json.loads(good(run(t, "version", "--server")))
    assert there["version"] in good(run(t, "version"))


def test_bench_measures(t):
    text = good(run(t, "bench", "SELECT 1", "-n", "20", "-c", "2"))
    assert "20" in text and re.search(r"requests", text)


def test_completion_is_printed(t):
    for shell in ("bash", "zsh", "fish"):
        assert "journal" in good(run(t, "completion", shell))


def test_a_server_that_is_busy_is_6(serve):
    t = serve("--query-running-max", 1, "--query-waiting-max", 0)
    process = subprocess.Popen([TARN, "query", LONG], env=environment(t), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: t.get("/query/running").json()["queries"])
        failed(run(t, "query", "SELECT 1"), 6)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_a_server_that_went_away_is_6(tmp_path):
    t = Server(tmp_path / "data")
    t.stop()
    failed(run(t, "ls"), 6, t.url, "tarn serve")


def test_a_stranger_at_the_address_is_an_error(t):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        process = subprocess.Popen([TARN, "ls", "--url", url], env=environment(t), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peer, _ = s.accept()
        peer.sendall(b"220 mail.example ESMTP\r\n")
        time.sleep(0.1)
        peer.close()
        out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 6) and out == "" and url in err
