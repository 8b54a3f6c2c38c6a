"""compare.py: what the benchmarks against PostgreSQL share: servers with durability on, the load generator, medians, tables."""

import json
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import harness  # noqa: E402

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
CLIENT = os.path.join(BUILD, "pg_client")
MILLRACE = os.path.join(BUILD, "millrace")

# Durable like Millrace; enough memory and log that no checkpoint falls into a measurement. Everything else is PostgreSQL's default.
POSTGRES_SETTINGS = ("fsync=on", "synchronous_commit=on", "shared_buffers=1GB", "max_wal_size=8GB", "autovacuum=off")


class Side:
    """One of the two servers: a name, how to connect, its CPU time."""

    def __init__(self, name, server, connect, conninfo):
        self.name = name
        self.server = server
        self.conninfo = conninfo
        self.connect = lambda: connect(server)

    def client(self, *arguments):
        """Runs the load generator; its JSON, with the CPU seconds that the server took meanwhile."""
        before = harness.cpu_seconds(self.server.pid)
        mode, *rest = [str(argument) for argument in arguments]
        done = subprocess.run([CLIENT, mode, self.conninfo, *rest], stdout=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError("%s: pg_client %s failed" % (self.name, mode))
        result = json.loads(done.stdout)
        result["server_cpu_s"] = harness.cpu_seconds(self.server.pid) - before
        return result


def postgres_side(server):
    return Side("postgres", server, harness.connect_postgres,
                "host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable gssencmode=disable" % server.port)


def millrace_side(server):
    return Side("millrace", server, harness.connect_millrace,
                "host=127.0.0.1 port=%d user=bench dbname=millrace sslmode=disable gssencmode=disable" % server.port)


def median(values):
    return statistics.median(values)


class Report:
    """Rows of figures, printed as they come and kept for --json."""

    def __init__(self, name, path, settings):
        self.path = path
        self.data = {"benchmark": name, "settings": settings, "machine": machine(), "rows": []}
        print("%s; %s" % (name, ", ".join("%s: %s" % item for item in settings.items())), flush=True)

    def row(self, what, text, **figures):
        self.data["rows"].append(dict(figures, what=what))
        print("%-44s %s" % (what, text), flush=True)
        self.save()

    def save(self):
        if self.path:
            with open(self.path, "w") as f:
                json.dump(self.data, f, indent=1)
                f.write("\n")


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    postgres = subprocess.run([harness.POSTGRES_BIN + "/postgres", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            cwd=os.path.dirname(CLIENT)).stdout.strip()
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "postgres": postgres, "commit": commit}


def rates(report, what, unit, ours, theirs):
    """Both sides' (per second of wall time, per CPU second of the server) over the rounds, and the ratio of the medians."""
    wall = [median([r[0] for r in side]) for side in (ours, theirs)]
    cpu = [median([r[1] for r in side]) for side in (ours, theirs)]
    report.row(what, "millrace %10.0f  postgres %10.0f %s/s  ratio %5.2f   per CPU s %10.0f %10.0f  ratio %5.2f" % (
        wall[0], wall[1], unit, wall[0] / wall[1], cpu[0], cpu[1], cpu[0] / cpu[1]),
        unit=unit, millrace_per_s=wall[0], postgres_per_s=wall[1], ratio=wall[0] / wall[1],
        millrace_per_cpu_s=cpu[0], postgres_per_cpu_s=cpu[1], ratio_cpu=cpu[0] / cpu[1])


def closed_loop(side, seconds, *arguments):
    result = side.client(*arguments)
    statements = result["statements"]
    return (statements / result["seconds"], statements / max(result["server_cpu_s"], 0.01), result)


def alternate(rounds, ours, theirs):
    """Runs both functions `rounds` times, changing who is first; returns both lists of results."""
    results = ([], [])
    for number in range(rounds):
        order = ((0, ours), (1, theirs)) if number % 2 == 0 else ((1, theirs), (0, ours))
        for index, function in order:
            results[index].append(function())
    return results
