"""The README's tour, each command run in order as a reader would, against a server with the demonstration data."""

import csv
import json
import os
import pathlib
import re
import subprocess
import threading

import pytest

import arrow
from conftest import TARN, Server, environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = os.environ.get("TARN_DEMO_DATA", "")

pytestmark = pytest.mark.skipif(not os.path.isdir(DATA), reason="the demonstration data is not there")


def commands():
    """The commands of the README's sh blocks, in order; a command that goes on in the next line is one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.replace("\\\n", " ") for block in blocks for line in re.split(r"(?<!\\)\n", block) if line.strip()]


class Reader:
    """A shell in a folder as it is after `make run`, with the server running."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "build").mkdir()
        (folder / "build" / "tarn").symlink_to(os.path.abspath(TARN))
        self.server = Server(folder / "tarn-data", "--demo", "--demo-data", os.path.abspath(DATA), wait=False)
        self.server.wait_ready(600)
        env = environment(self.server, TARN_TOKEN=None)
        self.shell = subprocess.Popen(["bash"], cwd=folder, env=env, text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.talk = []
        self.listener = threading.Thread(target=lambda: self.talk.extend(self.shell.stderr), daemon=True)
        self.listener.start()
        self.watchdog = threading.Timer(500, self.shell.kill)
        self.watchdog.start()

    def run(self, command):
        """The exit code and standard output of a command in the shell."""
        self.shell.stdin.write(command.replace("127.0.0.1:8787", f"127.0.0.1:{self.server.port}") + "\n")
        self.shell.stdin.write('printf "\\n--ended %s--\\n" $?\n')
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            ended = re.fullmatch(r"--ended (\d+)--\n", line)
            if ended:
                return int(ended[1]), "".join(lines)[:-1]
            lines.append(line)
        raise AssertionError(f"the shell ended at {command}")

    def close(self):
        self.watchdog.cancel()
        self.shell.stdin.close()
        self.shell.wait(30)
        self.listener.join(10)
        self.shell.stdout.close()
        self.shell.stderr.close()
        self.server.stop()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    r = Reader(tmp_path_factory.mktemp("readme"))
    yield r
    r.close()


@pytest.fixture(scope="module")
def tour(reader):
    """Each command of the tour and what it printed; files are looked at before the tour removes them."""
    done = []
    for command in commands():
        if command.startswith("rm "):
            done.append(("files", 0, {name: (reader.folder / name).read_bytes() for name in command.split()[1:]}))
        done.append((command, *reader.run(command)))
    return done


def printed(tour, word):
    """What the first command with this word printed."""
    return next(out for command, _, out in tour if word in command)


def test_every_command_of_the_tour_succeeds(tour, reader):
    assert len(tour) > 15
    assert [(command, out) for command, code, out in tour if code != 0] == [], "".join(reader.talk)


def test_nothing_of_the_tour_complains(tour, reader):
    assert not [line for line in reader.talk if re.search(r"error|fail|cannot|not found|usage|warn", line, re.IGNORECASE)]


def test_the_tour_shows_what_it_says(tour):
    assert json.loads(printed(tour, "/ready"))
    answer = json.loads(printed(tour, "FROM flights"))
    assert answer["row_count"] == 3 and answer["rows"][0]["flights"] > answer["rows"][2]["flights"] > 10000
    assert "flights" in printed(tour, "tarn ls") and "candidates" in printed(tour, "tarn ls")
    people = printed(tour, "FROM candidates")
    assert sum(int(n.replace(",", "")) for n in re.findall(r"\b[\d,]+\s*$", people, re.MULTILINE)) == 100_000
    assert "visits" in printed(tour, "ingest visits.csv") and "3 rows" in printed(tour, "ingest visits.csv")
    assert "zip" in printed(tour, "describe visits")
    counties = printed(tour, "JOIN zipcodes")
    assert all(city in counties for city in ("Denver", "Boise", "Boston"))
    assert re.search(r"\b4\b", printed(tour, "AS now")) and re.search(r"\b3\b", printed(tour, "AS before"))
    assert "visits" in printed(tour, "tarn journal") and "good" in printed(tour, "journal verify")
    seen = printed(tour, "FROM people")
    assert "cleo" in seen and "ann" not in seen and "bob" not in seen
    assert all(word in printed(tour, "people --list") for word in ("ann", "bob", "request 2024-117"))
    left = printed(tour, "__raw__people")
    assert "cleo" in left and "bob" in left and "ann" not in left


def test_the_files_that_the_tour_makes_are_right(tour):
    files = printed(tour, "files")
    rows = list(csv.reader(files["visits-again.csv"].decode().splitlines()))
    assert rows[0] == ["town", "visitors", "zip", "note"] and ["Boston", "88", "02108", ""] in rows and len(rows) == 5
    assert not any("Boise" in row for row in rows)
    stream = arrow.Stream(files["visits.arrows"])
    assert stream.names == ["town", "visitors", "zip", "note"] and sum(stream.columns[1]) == 237


# The demonstration data

@pytest.mark.parametrize("name, rows", [
    ("flights", 3_000_000), ("candidates", 100_000), ("placements", 1_470_000), ("clients", None), ("movies", 3201),
    ("birdstrikes", 10_000), ("species", None), ("zipcodes", None),
])
def test_the_demonstration_data_is_there(reader, name, rows):
    found = reader.server.value(f"SELECT count(*) FROM {name}")
    assert found == rows if rows else found > 100


def test_candidates_are_people_with_15_columns(reader):
    t = reader.server
    fields = [f["name"] for f in t.get("/catalog/datasets/by-name/candidates").json()["schema"]["fields"]]
    assert len(fields) == 15
    assert set(fields) >= {"candidate_id", "email", "phone", "city", "state", "vertical", "skills", "years_experience", "status"}
    assert t.sql("SELECT min(candidate_id), max(candidate_id), count(DISTINCT candidate_id) FROM candidates",
                 format="arrays") == [["CAND-000001", "CAND-100000", 100_000]]
    assert t.value("SELECT count(*) FROM candidates WHERE email NOT LIKE '%@%.%' OR city IS NULL") == 0


def test_placements_join_candidates_and_clients(reader):
    t = reader.server
    fields = {f["name"] for f in t.get("/catalog/datasets/by-name/placements").json()["schema"]["fields"]}
    assert {"candidate_id", "client_id"} <= fields
    assert t.value("SELECT count(*) FROM placements p JOIN candidates c USING (candidate_id) JOIN clients k USING (client_id)"
                   ) == 1_470_000


def test_zip_codes_keep_their_leading_zeros(reader):
    assert reader.server.value("SELECT count(*) FROM zipcodes WHERE length(zip_code::VARCHAR) <> 5") == 0


def test_a_start_says_what_it_loads_and_a_second_start_loads_nothing(reader):
    lines = reader.server.log
    for name in ("flights", "candidates", "placements", "clients", "movies", "birdstrikes", "species", "zipcodes"):
        assert name in lines
    journal = reader.server.told()
    again = Server(reader.folder / "tarn-data", "--demo", "--demo-data", os.path.abspath(DATA))
    try:
        assert len(again.get("/catalog/datasets?limit=1000").json()["datasets"]) >= 8
        assert len(again.told()) == len(journal)
    finally:
        again.stop()
