"""tandem3 in SimPy: simpy_tandem3.py plain|retry REQUESTS SEED."""

import json
import random
import sys

import simpy

RATE = 700.0
SERVERS = 10
SERVICE = 0.010
TIMEOUT = 0.100
TRIES = 3


def work(env, stages):
    """One try on its way through the stages."""
    for stage in stages:
        with stage.request() as server:
            yield server
            yield env.timeout(random.expovariate(1 / SERVICE))


def plain(env, stages, seen):
    """A client that waits as long as it takes."""
    since = env.now
    yield from work(env, stages)
    seen["tries"] += 1
    seen["times"].append(env.now - since)


def retry(env, stages, seen):
    """A client that gives each try 100 ms; what it gave up is worked on all the same."""
    since = env.now
    for _ in range(TRIES):
        seen["tries"] += 1
        answer = env.process(work(env, stages))
        yield answer | env.timeout(TIMEOUT)
        if answer.triggered:
            break
    else:
        seen["failed"] += 1
    seen["times"].append(env.now - since)


def arrivals(env, client, requests, stages, seen):
    for _ in range(requests):
        yield env.timeout(random.expovariate(RATE))
        env.process(client(env, stages, seen))


def main():
    mode, requests, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    env = simpy.Environment()
    stages = [simpy.Resource(env, capacity=SERVERS) for _ in range(3)]
    seen = {"tries": 0, "failed": 0, "times": []}
    client = {"plain": plain, "retry": retry}[mode]
    env.process(arrivals(env, client, requests, stages, seen))
    env.run()
    times = seen["times"]
    print(json.dumps({
        "requests": len(times),
        "mean_ms": sum(times) * 1e3 / len(times),
        "tries": seen["tries"] / len(times),
        "failed": seen["failed"],
    }))


main()
