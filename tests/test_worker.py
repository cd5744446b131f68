"""The processes that restricted queries run in, seen from outside: what each holds, and when it ends."""

import os
import signal
import subprocess

from conftest import wait_until

TARN = os.environ["TARN_BIN"]
SANITIZE = os.environ.get("TARN_SANITIZE", "")


def workers(server):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == server.pid and b"worker" in words:
            found.append(int(name))
    return found


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def test_a_server_starts_with_one_worker(tarn):
    assert len(workers(tarn)) == 1
    assert tarn.metric("workers_started_total") == 1


def test_a_worker_is_in_its_jail_before_it_is_asked(tarn):
    told = status(workers(tarn)[0])
    assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2"
    with open(f"/proc/{workers(tarn)[0]}/limits", encoding="utf-8") as file:
        limits = {line[:25].strip(): line[25:].split()[1] for line in file}
    assert limits["Max core file size"] == "0" and limits["Max file size"] == "0"
    assert SANITIZE or limits["Max address space"] != "unlimited"


def test_a_worker_has_one_socket_and_no_environment(tarn):
    pid = workers(tarn)[0]
    files = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert [files.pop(fd) for fd in range(3)] == ["/dev/null"] * 3
    assert list(files) == [3] and files[3].startswith("socket:")
    with open(f"/proc/{pid}/environ", "rb") as file:
        names = [entry.partition(b"=")[0] for entry in file.read().split(b"\0") if entry]
    assert set(names) <= {b"LD_LIBRARY_PATH"}


def test_a_worker_stands_in_an_empty_folder_of_the_cache(tarn):
    folder = os.readlink(f"/proc/{workers(tarn)[0]}/cwd")
    assert os.path.dirname(folder) == os.path.realpath(os.path.join(tarn.data, "cache"))
    assert os.listdir(folder) == []


def test_a_worker_that_dies_is_buried_and_followed_by_another(tarn):
    first = workers(tarn)[0]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: workers(tarn) and first not in workers(tarn))
    assert tarn.metric("workers_crashed_total") == 1


def test_workers_end_with_a_server_that_is_killed(serve):
    server = serve()
    pid = workers(server)[0]
    folder = os.readlink(f"/proc/{pid}/cwd")
    server.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert os.path.isdir(folder)
    serve(data=server.data)
    assert not os.path.exists(folder)


def test_workers_end_with_a_server_that_is_stopped(serve):
    server = serve()
    pid = workers(server)[0]
    folder = os.readlink(f"/proc/{pid}/cwd")
    assert server.stop() == 0
    assert not os.path.exists(f"/proc/{pid}") and not os.path.exists(folder)


def test_an_interrupt_at_the_terminal_is_not_for_workers(tarn):
    pid = workers(tarn)[0]
    assert os.getpgid(pid) != os.getpgid(tarn.pid)


def test_a_worker_by_hand_says_what_it_is():
    done = subprocess.run([TARN, "worker"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "a server starts" in done.stderr and not done.stdout
    told = subprocess.run([TARN, "--help"], capture_output=True, text=True, timeout=60).stdout
    assert "\n  worker" not in told
