#!/usr/bin/env python3
"""Runs the shards of a `towtank sweep` as tasks of a Ray cluster and merges them.

Everything behind `--` is given to `towtank sweep` as it is. The table is the one that a single
machine would have made, byte for byte.

  ray_sweep.py --shards 8 --out limits.csv --dir examples/07-circuit-breaking -- . \\
      --replications 10 --vary 'Scenario:load[0].connections=[5, 50, 500]'

What a task needs travels with it: the program, so that all shards are made by the same build, the
folder that --dir names, and the rows that an earlier try left. The cluster needs no shared file
system and no towtank of its own, but nodes of the kind that the program was built for.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

# Exit codes of towtank after which another try would end the same way: the input or the command
# line is wrong.
HOPELESS = (1, 2)
# Flags of `towtank sweep` that are set here.
OURS = ("--shard", "--out", "--threads")


def make_rows(program, rows, name, arguments):
    """The task: goes on with the rows of a shard where an earlier try ended.

    Returns the exit code, what was said, the rows that are there now, and the node. A try that
    fails returns its rows as well; of one whose worker dies, nothing comes back.
    """
    import ray

    with tempfile.TemporaryDirectory(prefix="towtank-") as folder:
        executable = Path(folder, "towtank")
        executable.write_bytes(program)
        executable.chmod(0o700)
        part = Path(folder, name)
        part.write_bytes(rows)
        command = [executable, "sweep", *arguments, "--out", part]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = done.stderr.decode(errors="replace")
        node = ray.get_runtime_context().get_node_id()[:8]
        return done.returncode, said, part.read_bytes(), node


class Shard:
    """One part of the sweep: its file, and how often it was tried."""

    def __init__(self, number, of, folder):
        self.name = f"{number}/{of}"
        self.part = folder / f"part-{number}-of-{of}.csv"
        self.tries = 0

    def rows(self):
        return self.part.read_bytes() if self.part.exists() else b""

    def keep(self, rows):
        # Written aside and renamed: a file holds the rows of a whole try, whenever we are killed.
        if rows:
            aside = self.part.with_suffix(".new")
            aside.write_bytes(rows)
            os.replace(aside, self.part)


def run_shards(ray, options, shards):
    """Runs all shards. Returns 0, or the exit code of one that failed for good."""
    task = ray.remote(make_rows).options(
        num_cpus=options.cpus,
        scheduling_strategy="SPREAD",
        max_retries=0,  # tries are counted here: the next one gets the rows of the last
    )
    program = ray.put(Path(options.program).read_bytes())
    running, code = {}, 0

    def start(shard):
        shard.tries += 1
        ours = ["--shard", shard.name, "--threads", str(options.cpus)]
        rows = shard.rows()
        ref = task.remote(program, rows, shard.part.name, [*options.sweep, *ours])
        running[ref] = shard

    for shard in shards:
        start(shard)
    while running:
        [ref], _ = ray.wait(list(running))
        shard = running.pop(ref)
        try:
            status, said, rows, where = ray.get(ref)
            shard.keep(rows)
        except ray.exceptions.RayError as error:
            # The worker or its node is gone, or the program cannot be started there.
            status, said, where = None, str(getattr(error, "cause", None) or error), "a lost node"
        tries = f"try {shard.tries} of {options.tries}"
        say(f"shard {shard.name}: {tries} on {where} {ending(status)}")
        if status == 0:
            continue
        say(said.rstrip())
        if status in HOPELESS:
            return status
        if shard.tries < options.tries:
            start(shard)
        else:
            # The others go on: their rows are not lost.
            code = status if status and status > 0 else 1
    if code != 0:
        say(f"not merged; {options.parts} has the rows so far, the same command goes on from them")
    return code


def ending(status):
    if status is None:
        return "did not end"
    if status < 0:
        return f"was killed by signal {-status}"
    return "is done" if status == 0 else f"failed with exit code {status}"


def say(text):
    print(text, file=sys.stderr, flush=True)


def connect(ray, options):
    """Joins the cluster, or ends with what is wrong with it."""
    address = options.address or os.environ.get("RAY_ADDRESS")
    place = urlsplit("//" + (address or "").rpartition("://")[2])
    try:
        if place.port:
            # Ray itself asks an address where nobody answers for minutes.
            socket.create_connection((place.hostname, place.port), timeout=10).close()
        ray.init(
            address=address,
            runtime_env={"working_dir": str(options.dir)},
            log_to_driver=False,
            logging_level="warning",
        )
    except (OSError, ValueError, ray.exceptions.RayError) as error:
        sys.exit(f"cannot start on the cluster at {address or 'this machine'}: {error}")
    cpus = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    if cpus < options.cpus:
        say(f"no node has {options.cpus} CPUs now (the largest has {cpus:.0f}); waiting for one")


def count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number above 0")
    return int(text)


def read_options(arguments):
    """Our options, with the arguments for `towtank sweep` in `sweep`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s --shards N --out FILE [options] -- ARGUMENTS-OF-SWEEP",
    )

    def add(flag, meaning, **more):
        parser.add_argument(flag, help=meaning, **more)

    add("--shards", "number of parts; a few per CPU keep the cluster busy", type=count, required=True)
    add("--out", "the merged table", type=Path, required=True)
    add("--parts", "folder for the rows of each shard; the same command goes on from them [OUT.parts]", type=Path)
    add("--dir", "folder that nodes get, but for what its .gitignore names; paths behind -- start there [.]", type=Path, default=".")
    add("--towtank", "the program [towtank on the PATH]", default="towtank")
    add("--address", "of the cluster [RAY_ADDRESS, else a new one on this machine]")
    add("--cpus", "CPUs and threads per shard [1]", type=count, default=1)
    add("--tries", "tries per shard [3]", type=count, default=3)
    options = parser.parse_args(arguments[:at])
    options.sweep = arguments[at + 1 :]
    options.parts = options.parts or options.out.with_name(options.out.name + ".parts")
    options.program = shutil.which(options.towtank)
    if not options.sweep:
        parser.error("nothing to sweep: write `-- SCENARIO --vary PATH=VALUES` behind the options")
    for flag in OURS:
        if any(a == flag or a.startswith(flag + "=") for a in options.sweep):
            parser.error(f"`{flag}` is set here; leave it out behind `--`")
    if options.program is None:
        way_out = "build it with `cargo build --release` and name it with --towtank target/release/towtank"
        parser.error(f"no program `{options.towtank}`: {way_out}")
    if not options.dir.is_dir():
        parser.error(f"--dir: `{options.dir}` is no folder")
    return options


def main(arguments):
    options = read_options(arguments)
    try:
        import ray
    except ImportError:
        requirements = Path(__file__).with_name("requirements.txt")
        sys.exit(f"Ray is not installed; pip install -r {requirements}")
    options.parts.mkdir(parents=True, exist_ok=True)
    numbers = range(1, options.shards + 1)
    shards = [Shard(number, options.shards, options.parts) for number in numbers]
    connect(ray, options)
    code = run_shards(ray, options, shards)
    ray.shutdown()
    if code != 0:
        return code
    parts = [shard.part for shard in shards]
    return subprocess.run([options.program, "merge", *parts, "--out", options.out]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
