"""The command line without a server: help, exit codes, completion, manual page, doctor, journal verify."""

import json
import os
import shutil
import socket
import subprocess

import pytest

from conftest import TARN, command

COMMANDS = [
    "serve", "ingest", "query", "ls", "describe", "rm", "rename", "token create", "token ls",
    "token rm", "journal", "journal show", "journal verify", "doctor", "bench", "version", "completion", "help",
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def doctor(data, *words):
    return command("doctor", "--data", str(data), "--listen", f"127.0.0.1:{free_port()}", *words)


def line_of(text, check):
    """The verdict and text of one check of doctor."""
    lines = [line for line in text.splitlines() if line[6:].startswith(check)]
    assert len(lines) == 1, text
    return lines[0][:4].strip(), lines[0]


@pytest.fixture
def data(tmp_path):
    """A data folder that no server has written to."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "primary").mkdir(mode=0o700)
    return folder


def write_record(data, sequence, text):
    folder = data / "primary" / "_catalog" / "log"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{sequence:020d}.json").write_text(text)


# Help

def test_help_lists_every_command():
    done = command("--help")
    assert done.returncode == 0 and done.stderr == ""
    for words in COMMANDS:
        assert f"  {words} " in done.stdout


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help(words):
    done = command(*words.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"Usage: tarn {words} [OPTION...]")
    assert "--help" in done.stdout
    assert command("help", *words.split()).stdout == done.stdout
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_help_of_serve_shows_options_and_defaults():
    text = command("serve", "--help").stdout
    assert "--data DIR" in text and "Default: ./tarn-data." in text
    assert "--http-tls-cert FILE" in text and "--query-timeout TIME" in text


def test_a_group_of_commands_has_help():
    done = command("token", "--help")
    assert done.returncode == 0
    assert "token create" in done.stdout and "ingest" not in done.stdout


def test_no_words_is_usage_and_says_so_on_standard_error():
    done = command()
    assert done.returncode == 2 and done.stdout == "" and "Commands:" in done.stderr


def test_version():
    assert command("version").stdout.startswith("tarn ")
    assert command("--version").stdout == command("version").stdout


# Usage errors and exit codes

@pytest.mark.parametrize("words, message", [
    (["qurey", "SELECT 1"], 'unknown command "qurey"; did you mean "tarn query"?'),
    (["--hepl"], 'unknown option "--hepl"'),
    (["frobnicate"], 'unknown command "frobnicate"; try "tarn --help"'),
    (["token"], '"tarn token" needs one of: create, ls, rm'),
    (["token", "make"], 'unknown command "token make"'),
    (["query", "--otput", "csv", "x"], "did you mean --output?"),
    (["query", "-o", "xml", "x"], "--output is one of table|csv|"),
    (["query", "x", "--max-rows"], "--max-rows needs a value"),
    (["query", "x", "--max-rows", "many"], "--max-rows is a number from 1"),
    (["query"], "needs a statement"),
    (["query", "  "], "the statement is empty"),
    (["query", "SELECT", "1"], "one word too many"),
    (["query", "x", "--url", "ftp://h"], "is not an address"),
    (["ls", "x"], "one word too many"),
    (["rename", "a"], "needs NAME NEW-NAME"),
    (["ingest"], "needs FILE..."),
    (["ingest", "-"], "--dataset gives one"),
    (["ingest", "a/x.csv", "b/x.csv"], "would both be the dataset x"),
    (["serve", "--lisen", "1"], "did you mean --listen?"),
    (["serve", "--http-connections-max", "lots"], "http.connections_max"),
    (["completion", "tcsh"], "there is bash, zsh and fish"),
    (["help", "qurey"], 'did you mean "tarn help query"?'),
    (["token", "create", "me", "--expires", "soon"], "--expires is a time from now"),
    (["token", "create", "me"], "--role says what the token may do"),
    (["journal", "--from", "soon"], "--from is a time back from now"),
])
def test_mistakes_are_named_and_exit_2(words, message):
    done = command(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("tarn: ") and message in done.stderr


@pytest.mark.parametrize("words", [["ls"], ["query", "SELECT 1"], ["describe", "x"], ["token", "ls"],
                                   ["journal", "show"], ["bench"], ["version", "--server"]])
def test_no_server_is_6_and_says_what_was_tried(words):
    url = f"http://127.0.0.1:{free_port()}"
    done = command(*words, TARN_URL=url)
    assert done.returncode == 6 and done.stdout == ""
    assert url in done.stderr and "tarn serve" in done.stderr
    assert command(*words, "--url", url).returncode == 6


def test_a_proxy_is_not_asked_for_this_machine():
    done = command("ls", "--url", f"http://127.0.0.1:{free_port()}", http_proxy="http://192.0.2.1:1")
    assert done.returncode == 6 and "192.0.2.1" not in done.stderr


def test_a_file_that_is_not_there_is_3(tmp_path):
    assert command("query", "-f", str(tmp_path / "no.sql")).returncode == 3
    done = command("ingest", str(tmp_path / "no.csv"), "--url", f"127.0.0.1:{free_port()}")
    assert done.returncode == 3 and "no.csv" in done.stderr


def test_a_token_file_without_a_token_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bad").write_text("two words\n")
    assert command("ls", "--token-file", str(tmp_path / "absent")).returncode == 2
    assert command("ls", "--token-file", str(tmp_path / "bad")).returncode == 2
    assert command("ls", "--token-file", str(tmp_path / "empty")).returncode != 0


def test_standard_output_that_is_full_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run([TARN, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr


# Completion and manual page

@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_correct_shell(shell, tmp_path):
    text = command("completion", shell).stdout
    for words in COMMANDS:
        assert words.split()[0] in text
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    script = tmp_path / "completion"
    script.write_text(text)
    subprocess.run([shell, "-n", str(script)], check=True)


@pytest.mark.parametrize("line, expected", [
    ("tarn qu", ["query"]),
    ("tarn token c", ["create"]),
    ("tarn query --max", ["--max-rows"]),
    ("tarn query --output n", ["ndjson"]),
    ("tarn token create --exp", ["--expires"]),
    ("tarn serve --http-tls-c", ["--http-tls-cert"]),
])
def test_bash_completes(line, expected):
    words = line.split(" ")
    script = command("completion", "bash").stdout + f"""
COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1}
_tarn
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_manual_page_is_well_formed(tmp_path):
    text = command("help", "--man").stdout
    for section in ["NAME", "SYNOPSIS", "COMMANDS", "CONFIGURATION", "EXIT STATUS", "FILES"]:
        assert f".SH {section}\n" in text
    page = tmp_path / "tarn.1"
    page.write_text(text)
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)],
                              capture_output=True, text=True)
        findings = [f for f in lint.stdout.splitlines() if "missing date" not in f]
        assert findings == []
    elif shutil.which("man") and shutil.which("groff"):
        done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True,
                              env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and done.stderr == "" and "EXIT STATUS" in done.stdout
    else:
        pytest.skip("neither mandoc nor man")


# doctor

def test_doctor_accepts_a_folder_that_is_not_there(tmp_path):
    done = doctor(tmp_path / "absent" / "data")
    assert done.returncode == 0, done.stdout
    assert line_of(done.stdout, "data folder")[0] == "ok"
    assert not (tmp_path / "absent").exists()


def test_doctor_accepts_an_empty_folder(data):
    done = doctor(data)
    assert done.returncode == 0 and "FAIL" not in done.stdout
    for check in ["permissions", "bucket", "catalog log", "engine", "parquet", "jail", "clock", "address"]:
        assert line_of(done.stdout, check)[0] == "ok"
    left = [name for _, _, files in os.walk(data) for name in files]
    assert left == []


def test_doctor_sees_a_damaged_log(data):
    write_record(data, 1, '{"seq": 1, "torn')
    done = doctor(data)
    assert done.returncode == 1
    verdict, line = line_of(done.stdout, "catalog log")
    assert verdict == "FAIL" and "00000000000000000001.json" in line


def test_doctor_sees_permissions(data):
    token = data / "admin.token"
    token.write_text("x")
    token.chmod(0o644)
    data.chmod(0o755)
    done = doctor(data)
    assert done.returncode == 1
    assert line_of(done.stdout, "permissions")[0] == "warn"
    assert line_of(done.stdout, "admin token")[0] == "FAIL"
    token.chmod(0o600)
    data.chmod(0o700)
    assert doctor(data).returncode == 0


def test_doctor_sees_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    done = doctor(tmp_path / "file")
    assert done.returncode == 1 and line_of(done.stdout, "data folder")[0] == "FAIL"


def test_doctor_sees_spool_leftovers(data):
    (data / "spool").mkdir()
    (data / "spool" / "upload-1").write_text("x")
    done = doctor(data)
    assert done.returncode == 0 and line_of(done.stdout, "spool")[0] == "warn"


def test_doctor_does_not_take_rejected_rows_for_leftovers(data):
    (data / "spool" / "rejects").mkdir(parents=True)
    (data / "spool" / "rejects" / "one.csv").write_text("x")
    done = doctor(data)
    assert done.returncode == 0 and line_of(done.stdout, "spool")[0] == "ok" and "may be deleted" not in done.stdout


def test_doctor_sees_a_wrong_configuration(data, tmp_path):
    (tmp_path / "tarn.ini").write_text("[http]\nno_such_key = 1\n")
    done = doctor(data, "--config", str(tmp_path / "tarn.ini"))
    assert done.returncode == 1
    verdict, line = line_of(done.stdout, "configuration")
    assert verdict == "FAIL" and "no_such_key" in line


def test_doctor_prints_the_configuration_on_demand(data):
    assert "http.head_max=" in doctor(data, "--verbose").stdout
    assert "http.head_max=" not in doctor(data).stdout


def test_doctor_sees_a_stranger_at_the_address(data):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        done = command("doctor", "--data", str(data), "--listen", f"127.0.0.1:{s.getsockname()[1]}")
    assert done.returncode == 1 and line_of(done.stdout, "address")[0] == "FAIL"


# journal verify

def test_journal_verify_of_an_empty_log(data):
    done = command("journal", "verify", "--data", str(data))
    assert done.returncode == 0
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line.strip())
    assert facts["records"] == "0" and facts["verdict"] == "good"


def test_journal_verify_names_the_wrong_object(data):
    write_record(data, 1, json.dumps({"seq": 2}))
    done = command("journal", "verify", "--data", str(data))
    assert done.returncode == 1
    assert "00000000000000000001.json" in done.stderr and "DAMAGED" in done.stdout


def test_journal_verify_without_a_data_folder_is_3(tmp_path):
    done = command("journal", "verify", "--data", "tarn-data", cwd=tmp_path)
    assert done.returncode == 3 and "tarn-data" in done.stderr
    assert list(tmp_path.iterdir()) == []
