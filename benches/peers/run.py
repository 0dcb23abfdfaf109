#!/usr/bin/env python3
"""Runs tandem3 in towtank, nexosim, SimPy and Ciw and prints how they compare.

Everything is built and installed below target/. See README.md beside this file.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "peers"
VENV = TARGET / "venv"
PYTHON = VENV / "bin" / "python"

RATE = 700
REFERENCE = "nexosim 1.0.0"
# Three M/M/10 stations at 70 %, by Erlang's C formula.
THEORY_MS = 32.2173
# A short run is subtracted from a long one, so that start-up does not count.
SHORT = 100
# Means further apart than this are not noise at full length: the models differ.
TOLERANCE = 0.02
# Counting instructions makes a program some fifty times slower.
COUNTED = 0.02


@dataclass
class Peer:
    """One engine: how a run is started, and how many requests keep it busy for some seconds."""

    name: str
    command: Callable[[str, int, int], list]
    requests: int
    modes: tuple = ("plain", "retry")
    results: dict = field(default_factory=dict)


@dataclass
class Run:
    """What one process simulated, and what that cost: seconds of processor time, or instructions."""

    cost: float
    requests: int
    mean_ms: float
    tries: float
    failed: int


def script(name):
    return lambda mode, requests, seed: [PYTHON, HERE / name, mode, requests, seed]


def nexosim(mode, requests, seed):
    return [TARGET / "nexosim" / "release" / "peer-nexosim", mode, requests, seed, 1]


def towtank(binary):
    def command(mode, requests, seed):
        # It is told how long to send and not how much.
        length = ["--duration", f"{requests * 1000 // RATE}ms", "--warm-up", "0s"]
        return [binary, "run", HERE / "tandem3" / mode, *length, "--seed", seed, "-o", "json"]

    return command


def step(*command, **options):
    print("+", *command, file=sys.stderr)
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr, **options)


def install():
    """The Python peers, pinned, in an environment of their own; nexosim; towtank."""
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    step(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "-r", HERE / "requirements.txt")
    step("cargo", "build", "--release", "--locked", "--target-dir", TARGET / "nexosim", cwd=HERE / "nexosim")


def build_towtank():
    step("cargo", "build", "--release", "--locked", "--bin", "towtank", cwd=ROOT)
    metadata = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    told = subprocess.run(metadata, check=True, capture_output=True, cwd=ROOT).stdout
    return Path(json.loads(told)["target_directory"]) / "release" / "towtank"


def measure(command, counting):
    """Runs it to its end. Processor time is the kernel's count for this process and all its threads."""
    words = [str(word) for word in command]
    if counting:
        words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *words]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        said = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}\n{said}")
    cost = usage.ru_utime + usage.ru_stime
    if counting:
        cost = int(re.search(r"Collected : (\d+)", said)[1])
    told = json.loads(output)
    if "clients" in told:
        told = from_report(told)
    return Run(cost=cost, **told)


def from_report(report):
    """The same figures out of towtank's report."""
    client = report["clients"][0]
    tries = sum(int(tries) * count for tries, count in client["attempts"].items())
    return {
        "requests": client["requests"],
        "mean_ms": client["latencyMs"]["mean"],
        "tries": tries / client["requests"],
        "failed": sum(count for status, count in client["statuses"].items() if status != "200"),
    }


def compare(peers, repeats, counting):
    """All peers in turn, so that a busy minute of the machine meets them alike."""
    for repeat in range(1, repeats + 1):
        for peer in peers:
            for mode in peer.modes:
                print(f"{repeat}/{repeats} {peer.name} {mode}", file=sys.stderr)
                short = measure(peer.command(mode, peer.requests // SHORT, repeat), counting)
                long = measure(peer.command(mode, peer.requests, repeat), counting)
                peer.results.setdefault(mode, []).append((short, long))


def rows(peers, counting):
    """One row for each engine and mode."""
    found = []
    for peer in peers:
        for mode, results in peer.results.items():
            each = [(long.cost - short.cost) / (long.requests - short.requests) for short, long in results]
            middle = statistics.median(each)
            longs = [long for _, long in results]
            cost = {"instructionsPerRequest": round(middle)} if counting else {"requestsPerSecond": round(1 / middle)}
            found.append({
                "engine": peer.name,
                "mode": mode,
                "requests": longs[0].requests,
                **cost,
                "spread": round((max(each) - min(each)) / middle, 3),
                "ratio": 1 / middle,
                "meanMs": round(statistics.mean(run.mean_ms for run in longs), 4),
                "triesPerRequest": round(statistics.mean(run.tries for run in longs), 5),
                "failed": sum(run.failed for run in longs),
            })
    base = {row["mode"]: (row["ratio"], row["meanMs"]) for row in found if row["engine"] == REFERENCE}
    for row in found:
        ratio, mean_ms = base[row["mode"]]
        row["ratio"] = round(row["ratio"] / ratio, 4)
        # There is no formula for retries: the others are held against nexosim.
        row["expectedMs"] = THEORY_MS if row["mode"] == "plain" else mean_ms
    return found


def table(found, repeats, counting):
    key, cost = ("instructionsPerRequest", "instructions") if counting else ("requestsPerSecond", "requests/s")
    lines = [("engine", "mode", "requests", cost, "spread", "ratio", "mean ms", "expected", "tries")]
    for row in found:
        lines.append((
            row["engine"],
            row["mode"],
            f"{row['requests']:,}",
            f"{row[key]:,}",
            f"{row['spread']:.0%}",
            f"{row['ratio']:.3g}",
            f"{row['meanMs']:.3f}",
            f"{row['expectedMs']:.3f}",
            f"{row['triesPerRequest']:.5f}",
        ))
    widths = [max(map(len, column)) for column in zip(*lines)]
    what = "instructions per request" if counting else "requests per second of processor time"
    print(f"tandem3: {what}, medians of {repeats}; ratio: how much faster than {REFERENCE} on one thread\n")
    for line in lines:
        cells = [text.ljust(width) if n < 2 else text.rjust(width) for n, (text, width) in enumerate(zip(line, widths))]
        print("  ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each engine and mode (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="makes all runs longer or shorter (default 1)")
    parser.add_argument("--instructions", action="store_true",
                        help="count instructions with valgrind instead of time, in runs a fiftieth as long")
    parser.add_argument("--towtank", type=Path, help="a built program to use; else it is built here")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()

    install()
    binary = args.towtank.resolve() if args.towtank else build_towtank()
    peers = [
        Peer("towtank", towtank(binary), 3_000_000),
        Peer(REFERENCE, nexosim, 2_000_000),
        Peer("SimPy 4.1.2", script("simpy_tandem3.py"), 100_000),
        Peer("Ciw 3.2.7", script("ciw_tandem3.py"), 50_000, modes=("plain",)),
    ]
    scale = args.scale * (COUNTED if args.instructions else 1.0)
    for peer in peers:
        peer.requests = max(SHORT, round(peer.requests * scale))
    compare(peers, args.repeats, args.instructions)
    found = rows(peers, args.instructions)
    if args.json:
        print(json.dumps({"repeats": args.repeats, "theoryMs": THEORY_MS, "rows": found}, indent=2))
    else:
        table(found, args.repeats, args.instructions)
    if scale < 1.0:
        return 0
    wrong = [row for row in found if abs(row["meanMs"] / row["expectedMs"] - 1) > TOLERANCE]
    for row in wrong:
        print(f"{row['engine']} {row['mode']}: the mean response is not what is expected", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
