"""From exec to listening, with 10,000 datasets in the newest checkpoint."""

import subprocess

from bench_house import BUILD, Figure, say

ORDER = 40
DATASETS = 10_000
ROUNDS = 5


def measure(house):
    data = house.folder / "many"
    data.mkdir(mode=0o700)
    say(f"  making a catalog of {DATASETS:,} datasets")
    subprocess.run([BUILD / "bench" / "tarn_make_catalog", data, str(DATASETS)], check=True,
                   timeout=60)
    times = []
    for _ in range(ROUNDS):
        server = house.serve("many")
        times.append(server.start_seconds)
        memory = server.memory_mb("VmRSS")
        server.stop()
    yield Figure(f"start with {DATASETS:,} datasets", "nothing", "wall", at_most=1,
                 value=min(times), unit="s",
                 note=f"best of {ROUNDS}, slowest {max(times):.2f} s; {memory:.0f} MB resident")
