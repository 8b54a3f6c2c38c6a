#!/usr/bin/python3
"""run.py [--queries q0,q1] [--events N] [--parallelism N] [--backend heap|rocksdb] [--json FILE] [--results DIR]

Runs Nexmark queries in Apache Flink, each in a fresh JVM, over the rows that Millrace's generator makes, and reports the CPU time of
the process minus the generator's own. Builds with Maven when needed; the first time it downloads Flink. --results writes the final
rows of each query into DIR/QUERY.csv instead of a black hole: to compare contents, not to measure."""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSPATH = os.path.join(HERE, "target", "classpath")
ALL = ["q%d" % n for n in range(23)]
# what Flink's own start scripts open to it on Java 17
OPEN = ["java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time", "java.util",
        "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"]


def java_version():
    try:
        done = subprocess.run(["java", "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        sys.exit("Flink cannot run: there is no java. Install Java 17 or later (openjdk-17-jdk-headless).")
    words = done.stdout.split('"')
    if len(words) < 2 or int(words[1].split(".")[0]) < 17:
        sys.exit("Flink cannot run: it needs Java 17 or later, and java -version says:\n" + done.stdout)


def maven(*options):
    return subprocess.run(["mvn", "-q", "-B", *options, "-f", os.path.join(HERE, "pom.xml"), "process-classes"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def build():
    sources = [os.path.join(HERE, "pom.xml")] + glob.glob(os.path.join(HERE, "src", "**", "*.*"), recursive=True)
    sources = [path for path in sources if os.path.isfile(path)]
    if os.path.exists(CLASSPATH):
        built = os.path.getmtime(CLASSPATH)
        with open(CLASSPATH) as f:
            if all(os.path.getmtime(path) < built for path in sources) and all(map(os.path.exists, f.read().split(":"))):
                return
    if shutil.which("mvn") is None:
        sys.exit("Flink could not be downloaded: there is no mvn. Install Maven (maven).")
    print("building with Maven", file=sys.stderr, flush=True)
    if maven("-o").returncode != 0:  # what is there already is enough after the first time
        done = maven()
        if done.returncode != 0:
            missing = "COMPILATION ERROR" not in done.stdout
            sys.exit("%s\n%s" % (done.stdout[-4000:], "Flink could not be downloaded: Maven failed, see above." if missing
                                 else "The Flink side could not be compiled, see above."))
    if os.path.exists(CLASSPATH):
        os.utime(CLASSPATH)
    else:
        sys.exit("Flink could not be downloaded: Maven left no class path.")


def run(queries, args, directory):
    """In one JVM; yields a result per query."""
    with open(CLASSPATH) as f:
        classpath = os.path.join(HERE, "target", "classes") + ":" + f.read().strip()
    options = ["-Xmx" + args.heap, "-XX:+UseG1GC"]
    command = ["java", *options, *["--add-opens=java.base/%s=ALL-UNNAMED" % name for name in OPEN],
               "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, "millrace.nexmark.Bench", "--queries", ",".join(queries),
               "--java-options", " ".join(options), "--parallelism", str(args.parallelism), "--backend", args.backend,
               "--events", str(args.events), "--warmup", str(args.warmup), "--warmup-cpu",
               str(args.warmup_cpu), "--skip", str(args.skip), "--seed", str(args.seed),
               "--event-rate", str(args.event_rate), "--start", args.start, "--checkpoint-seconds", str(args.checkpoint_seconds),
               "--checkpoints", directory]
    if args.results:
        command += ["--results", os.path.abspath(args.results)]
    if args.explain:
        command += ["--explain"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        for text in process.stdout:
            yield json.loads(text)
    if process.returncode != 0:
        sys.exit("Flink failed at one of %s, see above" % ", ".join(queries))


def line(result):
    if "unsupported" in result:
        return "%-4s not supported by Flink %s: %s" % (result["query"], result["flink_version"], result["unsupported"])
    return "%-4s %10d %9.2f %9.2f %11.2f %7.2f %7.2f %12.0f %13.0f %9.0f %10d" % (
        result["query"], result["events_measured"], result["wall_s"], result["process_cpu_s"], result["generator_cpu_s"],
        result["jit_elapsed_s"], result["gc_elapsed_s"],
        result["events_per_wall_s"], result["events_per_cpu_s"], result["peak_rss_bytes"] / 1e6, result["result_rows"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", default=",".join(ALL), help="also person, auction, bid: the rows themselves")
    parser.add_argument("--events", type=int, default=2000000, help="Nexmark events in all, of which each stream gets its share")
    parser.add_argument("--warmup", type=int, help="events of each job that warms up the JVM before; by default as many, 500,000 at most")
    parser.add_argument("--warmup-cpu", type=int, default=40, metavar="SECONDS", help="CPU time after which no other such job begins")
    parser.add_argument("--skip", type=float, default=0.2, help="share of the events that come before the measured part")
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--backend", default="heap", choices=["heap", "rocksdb"])
    parser.add_argument("--heap", default="4g", help="the JVM's -Xmx")
    parser.add_argument("--checkpoint-seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--event-rate", type=int, default=10000, help="events per second of event time")
    parser.add_argument("--start", default="2026-01-01 00:00:00", help="time of the first event")
    parser.add_argument("--json", metavar="FILE", help="write the results there, a list of one object per query")
    parser.add_argument("--results", metavar="DIR", help="write the final rows there")
    parser.add_argument("--explain", action="store_true", help="print the plans")
    args = parser.parse_args()
    queries = args.queries.split(",")
    unknown = [query for query in queries if query not in ALL + ["person", "auction", "bid"]]
    if unknown:
        parser.error("there is no query %s" % ", ".join(unknown))
    if args.warmup is None:
        args.warmup = min(args.events, 500000)
    if args.results:
        args.warmup = 0
        os.makedirs(args.results, exist_ok=True)
    java_version()
    build()
    results = []
    print("%-4s %10s %9s %9s %11s %7s %7s %12s %13s %9s %10s" % (
        "", "events", "wall s", "CPU s", "generator s", "JIT s", "GC s", "events/s", "events/CPU-s", "peak MB", "rows"), flush=True)
    for group in [queries] if args.results else [[query] for query in queries]:  # what is measured has a JVM of its own
        with tempfile.TemporaryDirectory(prefix="nexmark-flink.") as directory:
            for result in run(group, args, directory):
                results.append(result)
                print(line(result), flush=True)
    some = results[0]
    print("Flink %s, Java %s %s, %s state, parallelism %d, warm-up %d s of CPU, first %.0f %% not measured; %s" % (
        some["flink_version"], some["java_version"], some["java_options"], some["backend"], some["parallelism"],
        0 if args.results else args.warmup_cpu, 100 * args.skip, ", ".join("%s=%s" % item for item in some["settings"].items())))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
