"""tandem3 in Ciw: ciw_tandem3.py plain REQUESTS SEED."""

import json
import sys

import ciw

RATE = 700.0
SERVERS = 10
SERVICE = 0.010


def main():
    mode, requests, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    assert mode == "plain", "a timeout over several nodes cannot be said in Ciw"
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=RATE), None, None],
        service_distributions=[ciw.dists.Exponential(rate=1 / SERVICE)] * 3,
        number_of_servers=[SERVERS] * 3,
        routing=[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(requests, method="Finish")
    # One record per request and stage; those still on their way at the end have fewer than three.
    first, last = {}, {}
    for record in simulation.get_all_records():
        if record.node == 1:
            first[record.id_number] = record.arrival_date
        elif record.node == 3:
            last[record.id_number] = record.exit_date
    times = [last[request] - first[request] for request in last]
    print(json.dumps({
        "requests": len(times),
        "mean_ms": sum(times) * 1e3 / len(times),
        "tries": 1.0,
        "failed": 0,
    }))


main()
