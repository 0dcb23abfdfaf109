"""A sweep under Ray on two nodes of one CPU each, beside one that a single process made.

Run by .ci/ray, which makes the virtual environment; TOWTANK names the program.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

# Ray reads these when it is imported: no statistics to anybody, and a secret of our own instead
# of one in the home folder.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

from ray.cluster_utils import Cluster  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples/engines/ray_sweep.py"
EXAMPLE = ROOT / "examples/07-circuit-breaking"
TOWTANK = Path(os.environ["TOWTANK"]).resolve()
SWEEP = [".", "--duration", "20s", "--replications", "6", "--vary", "Scenario:load[0].connections=[5, 10, 20, 40]"]

# A program that is killed after a few rows of each shard, the first time.
FLAKY = """#!/usr/bin/env bash
for out; do :; done # the last argument
mark={folder}/$(basename "$out").seen
if [ "$1" = sweep ] && mkdir "$mark"; then
  {towtank} "$@" &
  until [ "$(wc -l <"$out")" -ge 3 ]; do sleep 0.005; done
  kill -9 $!
  kill -9 $$
fi
[ "$1" = merge ] || wc -l <"$out" >"$mark/rows"
exec {towtank} "$@"
"""


# A program whose shards all wait for a file: nobody is done before the test wants it.
HELD = """#!/usr/bin/env bash
for out; do :; done # the last argument
if [ "$1" = sweep ]; then
  : >{folder}/$(basename "$out").begun
  until [ -e {folder}/go ]; do sleep 0.02; done
fi
exec {towtank} "$@"
"""


class TwoNodes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="towtank-ray-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "all.csv"

    def cluster(self):
        """Two nodes on this machine. Who joins them has to know the secret."""
        head = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        self.addCleanup(cluster.shutdown)
        return cluster, cluster.add_node(num_cpus=1)

    def command(self, *options, sweep=SWEEP):
        return [sys.executable, SCRIPT, "--shards", "4", "--out", self.out, "--dir", EXAMPLE, *options, "--", *sweep]

    def ray(self, *options, sweep=SWEEP):
        return subprocess.run(self.command(*options, sweep=sweep), capture_output=True, text=True, timeout=120)

    def program(self, text):
        """A program in front of towtank."""
        path = self.folder / "program"
        path.write_text(text.format(folder=self.folder, towtank=TOWTANK))
        path.chmod(0o700)
        return path

    def alone(self, sweep=SWEEP):
        """What one process makes."""
        done = subprocess.run([TOWTANK, "sweep", *sweep], cwd=EXAMPLE, capture_output=True, check=True)
        return done.stdout

    def test_bytes_are_those_of_one_process_also_after_kills(self):
        cluster, _ = self.cluster()
        done = self.ray("--towtank", TOWTANK, "--address", cluster.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        whole = self.alone()
        self.assertEqual(self.out.read_bytes(), whole)
        ends = [line.split() for line in done.stderr.splitlines() if line.endswith("is done")]
        self.assertEqual(sorted(end[1] for end in ends), ["1/4:", "2/4:", "3/4:", "4/4:"], done.stderr)
        self.assertEqual(len({end[7] for end in ends}), 2, f"both nodes took part: {done.stderr}")

        flaky = self.program(FLAKY)
        self.out = self.folder / "killed.csv"
        # So many rows that a fast program is killed in the middle as well.
        longer = [*SWEEP[:-3], "200", *SWEEP[-2:]]
        done = self.ray("--towtank", flaky, "--address", cluster.address, sweep=longer)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("was killed by signal 9"), 4, done.stderr)
        self.assertEqual(self.out.read_bytes(), self.alone(longer))
        for number in range(1, 5):
            rows = int((self.folder / f"part-{number}-of-4.csv.seen/rows").read_text())
            self.assertTrue(3 <= rows < 201, f"the second try began with {rows} lines of 201")

        # What fails for good is tried once and says why.
        wrong = [".", "--vary", "Scenario:load[0].connections=[5, many]"]
        self.out = self.folder / "wrong.csv"
        done = self.ray("--towtank", TOWTANK, "--address", cluster.address, sweep=wrong)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("`many` is not a whole number", done.stderr)
        self.assertNotIn("try 2", done.stderr)
        self.assertFalse(self.out.exists())

    def test_a_node_that_is_lost_costs_time_and_no_row(self):
        cluster, second = self.cluster()
        command = self.command("--towtank", self.program(HELD), "--address", cluster.address)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
            self.addCleanup(run.kill)
            # A shard on either node, and none of them done.
            until = time.monotonic() + 60
            while len(list(self.folder.glob("*.begun"))) < 2:
                self.assertIsNone(run.poll(), "it ended before it began")
                self.assertLess(time.monotonic(), until, "no two shards began")
                time.sleep(0.05)
            second.kill_raylet(check_alive=False)  # and its workers; Ray prints the log of it
            said = run.stderr.readline()
            while said and "did not end" not in said:
                self.assertNotIn("is done", said)
                said = run.stderr.readline()
            self.assertIn("on a lost node did not end", said)
            (self.folder / "go").touch()
            said = run.stderr.read()
        self.assertEqual(run.returncode, 0, said)
        self.assertIn("try 2 of 3", said)
        self.assertEqual(self.out.read_bytes(), self.alone())

    def test_what_is_missing_is_named_at_once(self):
        began = time.monotonic()
        for options, code, why in [
            (["--towtank", "/nowhere/towtank"], 2, "no program `/nowhere/towtank`: build it"),
            (["--towtank", TOWTANK, "--address", "127.0.0.1:1"], 1, "cannot start on the cluster at 127.0.0.1:1"),
            (["--towtank", TOWTANK, "--dir", "/nowhere"], 2, "`/nowhere` is no folder"),
        ]:
            done = self.ray(*options)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(why, done.stderr)
        done = self.ray("--towtank", TOWTANK, sweep=[*SWEEP, "--shard=1/2"])
        self.assertIn("`--shard` is set here", done.stderr)
        self.assertLess(time.monotonic() - began, 60)


if __name__ == "__main__":
    unittest.main()
