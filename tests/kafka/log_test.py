"""log_test.py: connector 'kafka' without a server (log_tool.c) against a broker: what only a real one does: transactions that are
aborted or left open, retention, topics that are deleted and made anew, more partitions, TLS and SASL."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_support import Record, cluster, need_real  # noqa: E402


class Log:
    def __init__(self, tool, broker, topic, servers=None, stderr=None, **options):
        words = ["topic=" + topic, "bootstrap.servers=" + (servers or broker.bootstrap), "broker.address.family=v4"]
        self.process = subprocess.Popen([tool, *words, *("%s=%s" % (name.replace("__", "."), value) for name, value in options.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True)
        self.answer()

    def answer(self):
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("log_tool ended: %s" % lines)
            if line == ".\n":
                return lines
            lines.append(line.rstrip("\n"))

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def read(self, *positions):
        """From these, or where a new source begins."""
        positions = positions or self.ask("start")
        errors = [line for line in positions if line.startswith("!")]
        equal(errors + self.ask("read", *positions), [])

    def values(self, partition, offset):
        """Read until there, without the errors that ended."""
        return [line.split(" ", 2)[2] for line in self.ask("until", partition, offset) if not line.startswith("! 08006")]

    def stats(self):
        return [tuple(int(word) for word in line.split()) for line in self.ask("stats")]

    def wait_stats(self, expected):
        while self.stats() != expected:
            time.sleep(0.05)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


def numbers(first, count, **more):
    return [Record(str(i), partition=0, **more) for i in range(first, first + count)]


def equal(got, expected):
    if got != expected:
        raise AssertionError("got %r, expected %r" % (got, expected))


def transactions(tool, broker):
    """Aborted records are not read, but passed; at the end of the topic the reader stands where committed records end."""
    broker.create_topic("transactions")
    broker.produce("transactions", numbers(0, 5), transaction="commit")
    broker.produce("transactions", numbers(5, 5), transaction="abort")
    broker.produce("transactions", numbers(10, 3))
    broker.produce("transactions", numbers(13, 4), transaction="abort")
    end = broker.ends("transactions")[0][1]
    last = broker.read("transactions")[-1]
    if last.offset + 5 > end:
        raise AssertionError("the topic does not end with what was aborted")
    with Log(tool, broker, "transactions") as log:
        log.read()
        equal(log.values(0, end), [str(i) for i in (*range(5), *range(10, 13))])
        position = log.ask("positions")[0]
        equal(position.split(":")[:3], ["0", str(end), str(last.offset)])
        log.wait_stats([(0, 0, end, 0)])
        # a transaction that is open hides what is behind it, and is no lag
        broker.produce("transactions", numbers(20, 2), transaction="hang", transaction_timeout_ms=10000)
        broker.produce("transactions", numbers(22, 1))
        log.wait_stats([(0, 0, end, 0)])
        equal(log.values(0, end + 3), ["22"])  # when the broker has given the transaction up
        log.ask("end")
        log.read(position)  # from before: the record seen last is the same
        equal(log.values(0, end + 3), ["22"])
    with Log(tool, broker, "transactions", isolation__level="read_uncommitted") as log:
        log.read()
        equal(log.values(0, end + 3), [str(i) for i in (*range(17), *range(20, 23))])


def starts(tool, broker):
    broker.create_topic("starts", 2)
    second = 1767225600000  # 2026-01-01
    broker.produce("starts", [Record(str(i), partition=0, timestamp=second + 1000 * i) for i in range(10)])
    broker.produce("starts", [Record(str(i), partition=1, timestamp=second + 1000 * i) for i in range(3)])
    broker.delete_records("starts", 0, 2)

    def offsets(start):
        with Log(tool, broker, "starts", start=start) as log:
            return [line.split(":")[1] if line[0] != "!" else line for line in log.ask("start")]

    equal(offsets("earliest"), ["2", "0"])
    equal(offsets("latest"), ["10", "3"])
    equal(offsets("2026-01-01 00:00:01.999+00"), ["2", "2"])
    equal(offsets("2026-01-01 01:00:02.0001+01"), ["3", "3"])
    equal(offsets("2026-01-01 00:00:05+00"), ["5", "3"])
    equal(offsets("2030-01-01"), ["10", "3"])
    equal(offsets("1960-01-01"), ["2", "0"])
    equal(offsets("0:4,1:3"), ["4", "3"])
    equal(offsets("0:1,1:3"), ["! 22023 option \"start\" names offset 1 of partition 0, which topic \"starts\" does not have | "
                               "The partition has offsets from 2 on, and the next one is 10."])


def retention(tool, broker):
    broker.create_topic("retention")
    broker.produce("retention", numbers(0, 20))
    with Log(tool, broker, "retention") as log:
        log.read()
        log.values(0, 20)
        position = log.ask("positions")[0]
    broker.produce("retention", numbers(20, 20))
    broker.delete_records("retention", 0, 20)  # the record seen last is gone, and nothing that was not read
    with Log(tool, broker, "retention") as log:
        log.read(position)
        equal(log.values(0, 40), [str(i) for i in range(20, 40)])
    broker.delete_records("retention", 0, 31)
    with Log(tool, broker, "retention") as log:
        log.read(position)
        equal(log.ask("error", "22003"), ["22003 records of partition 0 of topic \"retention\" are gone that were not read | "
                                          "Offsets 20 to 30 are lost; the first one left is 31."])
    for on_lost, values, lost in (("earliest", range(31, 40), 11), ("latest", (), 20)):
        with Log(tool, broker, "retention", stderr=subprocess.DEVNULL, on_lost=on_lost) as log:
            log.read(position)
            equal(log.values(0, 40), [str(i) for i in values])
            log.wait_stats([(0, 31, 40, lost)])


def made_anew(tool, broker):
    broker.create_topic("anew", 2)
    broker.produce("anew", numbers(0, 20))
    with Log(tool, broker, "anew", stderr=subprocess.DEVNULL, topic_refresh="2 seconds") as log:
        log.read()
        log.values(0, 20)
        position = log.ask("positions")[0]
        broker.delete_topic("anew")  # while it is read
        equal(log.ask("error", "55000"), ["55000 topic \"anew\" does not exist any more | "])
    broker.create_topic("anew", 2)
    broker.produce("anew", numbers(0, 5))
    with Log(tool, broker, "anew") as log:
        log.read(position)
        equal(log.ask("error", "55000"), ["55000 topic \"anew\" was made anew or cut: partition 0 ends before records that were read | "
                                          "The partition ends at offset 5; the next one to read was 20."])
    broker.produce("anew", numbers(5, 45))  # now it has more than before
    with Log(tool, broker, "anew") as log:
        log.read(position)
        equal(log.ask("error", "55000"), ["55000 topic \"anew\" was made anew: partition 0 has other records than those that were read | "
                                          "The record at offset 19 has another timestamp than it had."])
        log.ask("end")
        log.read("0:45", "1:0")
        equal(log.values(0, 50), [str(i) for i in range(45, 50)])
        broker.delete_topic("anew")  # and made anew at once, with fewer records
        broker.create_topic("anew", 2)
        equal(log.ask("error", "55000")[0].split(" | ")[0],
              "55000 topic \"anew\" was made anew or cut: partition 0 ends before records that were read")
    broker.delete_topic("anew")
    broker.create_topic("anew", 1)
    with Log(tool, broker, "anew") as log:
        log.read("1:0")
        equal(log.ask("error", "55000")[0].split(" | ")[0], "55000 topic \"anew\" has 1 partitions, fewer than were read")


def replaced_unseen(tool, broker):
    """Made anew and filled while nothing is asked: the new topic has as much as the old one, and only its times are other ones."""
    broker.create_topic("replaced")
    broker.produce("replaced", numbers(0, 50000))
    with Log(tool, broker, "replaced", stderr=subprocess.DEVNULL, queued__min__messages=100, fetch__max__bytes=10000,
             message__max__bytes=10000, fetch__message__max__bytes=10000) as log:
        log.read()
        log.ask("until", 0, 10)
        for i in range(2):  # the second time somebody has surely looked since
            broker.produce("replaced", numbers(50000 + i, 1))
            log.wait_stats([(0, 0, 50001 + i, 0)])
        os.kill(log.process.pid, signal.SIGSTOP)
        broker.delete_topic("replaced")
        broker.create_topic("replaced")
        broker.produce("replaced", numbers(100000, 60000))
        os.kill(log.process.pid, signal.SIGCONT)
        equal(log.ask("error", "55000")[0].split(" | ")[0],
              "55000 topic \"replaced\" was made anew: partition 0 has other records than those that were read")


def same_times(tool, broker):
    """The record seen last has another value, at the same offset and time."""
    broker.create_topic("times")
    broker.produce("times", numbers(0, 20, timestamp=1767225600000))
    with Log(tool, broker, "times", stderr=subprocess.DEVNULL) as log:
        log.read()
        log.values(0, 20)
        broker.delete_topic("times")
        broker.create_topic("times")
        broker.produce("times", numbers(100, 30, timestamp=1767225600000))
        equal(log.ask("error", "55000"), ["55000 topic \"times\" was made anew: partition 0 has other records than those that were read | "
                                          "The record at offset 19 has another key or value than it had."])


def partitions(tool, broker):
    broker.create_topic("more", 1)
    with Log(tool, broker, "more", topic_refresh="1 second") as log:
        log.read()
        broker.add_partitions("more", 3)
        broker.produce("more", [Record("x", partition=2)])
        found = []
        while len(found) < 2:  # both at once as a rule
            found += log.ask("discover", 0, *(line.split(":")[0] for line in found))
        equal([line.split(":")[:3] for line in found], [["1", "0", "-1"], ["2", "0", "-1"]])
        log.ask("end")
        log.read(*found)
        equal(log.values(2, 1), ["x"])


def outage(tool, broker):
    broker.create_topic("outage")
    broker.produce("outage", numbers(0, 5))
    with Log(tool, broker, "outage", stderr=subprocess.DEVNULL) as log:
        log.read()
        equal(log.values(0, 5), [str(i) for i in range(5)])
        name = log.ask("incarnation")
        broker.stop()
        equal(log.ask("error", "08006")[0].split(" | ")[0], "08006 the brokers of topic \"outage\" do not answer")
        broker.start()
        broker.produce("outage", numbers(5, 5))
        equal(log.values(0, 10), [str(i) for i in range(5, 10)])
        equal(log.ask("incarnation"), name)


def security(tool, broker):
    """alice gets in; a wrong password is named, but not shown."""
    broker.create_topic("secure")
    broker.produce("secure", numbers(0, 3))
    settings = {"security__protocol": "sasl_ssl", "sasl__mechanism": "PLAIN", "sasl__username": "alice",
                "ssl__ca__location": broker.authority}
    with Log(tool, broker, "secure", broker.sasl_tls, sasl__password="alice-secret", **settings) as log:
        log.read()
        equal(log.values(0, 3), ["0", "1", "2"])
    with open(broker.log + ".canary", "w+") as err, \
            Log(tool, broker, "secure", broker.sasl_tls, err, sasl__password="c4nary", debug="all", **settings) as log:
        said = log.ask("start")[0]
        equal(said.split(" | ")[0], "! 28000 could not read topic \"secure\"")
        log.read("0:0")
        said += log.ask("error", "28000")[0]
        err.seek(0)
        logged = err.read()
        if "SASL" not in logged or "c4nary" in said + logged or "alice" in said + logged:
            raise AssertionError("a secret was shown, or nothing was logged")


def main():
    need_real("connector kafka against transactions, retention and topics made anew")
    tool = os.path.join(os.path.dirname(os.path.abspath(sys.argv[1])), "log_tool")
    with cluster(sys.argv[1], security=True) as broker:
        for test in (transactions, starts, retention, made_anew, replaced_unseen, same_times, partitions, outage, security):
            if len(sys.argv) == 2 or test.__name__ in sys.argv[2:]:
                test(tool, broker)
                print("%s: ok" % test.__name__, flush=True)


if __name__ == "__main__":
    main()
