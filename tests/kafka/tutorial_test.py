"""tutorial_test.py MILLRACE: the first session of docs/kafka.md, block by block in bash and psql, shows what the page says. The server is
killed in between."""

import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import kafka_support  # noqa: E402
from checks import until  # noqa: E402

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "kafka.md")
MARK = {"sql": "-- ", "sh": "# "}


def main():
    kafka_support.need_real("the first session of docs/kafka.md")  # topics that are made by writing to them, transactions of the sink
    with open(PAGE) as f:
        blocks = re.findall(r"```(sql|sh)\n(.*?)```", f.read().split("## A first session")[1].split("\n## ")[0], re.S)
    lines = 0
    with kafka_support.cluster(sys.argv[1], properties={"auto.create.topics.enable": "true"}) as cluster, \
            harness.millrace(sys.argv[1]) as server:
        for number, (kind, text) in enumerate(blocks):
            text = text.replace("127.0.0.1:9092", cluster.bootstrap)
            mark = MARK[kind]
            promised = [line[len(mark):].strip() for line in text.split("\n") if line.startswith(mark)]
            command = {"sh": ["bash", "-e", "-o", "pipefail"],
                       "sql": ["psql", "-X", "-h", "127.0.0.1", "-p", str(server.port), "-v", "ON_ERROR_STOP=1"]}[kind]
            shown = []

            def run():
                done = subprocess.run(command, input=text, text=True, capture_output=True, env=dict(os.environ, PGUSER="anyone", LC_ALL="C.UTF-8"))
                if done.returncode == 0 and not done.stderr:
                    shown[:] = [line.strip() for line in done.stdout.split("\n")]
                    return all(line in shown for line in promised)
                shown[:] = [done.stdout, done.stderr]
                return False

            if promised:  # rows come when they come
                until("block %d shows what the page says" % number, run, lambda: "%s\n%s" % (text, "\n".join(shown)))
            elif not run():
                raise AssertionError("block %d failed:\n%s\n%s" % (number, text, "\n".join(shown)))
            lines += len(promised)
            if number % 3 == 2:
                harness.restart_millrace(server, signal.SIGKILL)
    print("%d blocks, %d lines as promised" % (len(blocks), lines))


main()
