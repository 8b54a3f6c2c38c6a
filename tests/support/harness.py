"""harness.py: real servers for tests: a private PostgreSQL 15 and a Millrace, on loopback, stopped by their own pid."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

POSTGRES_BIN = "/usr/lib/postgresql/15/bin"
SMALL = bool(os.environ.get("MILLRACE_TEST_SMALL"))  # sanitizer builds: fewer rounds, same checks


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process that prints a line when it is ready."""

    def __init__(self, process, port, log):
        self.process = process
        self.pid = process.pid
        self.port = port
        self.log = log

    def stop(self, how=signal.SIGTERM, timeout=30):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("the server did not stop within %d s" % timeout)
        return self.process.returncode

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


@contextlib.contextmanager
def temp_dir():
    path = tempfile.mkdtemp(prefix="millrace-test.")
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def start_millrace(binary, data_dir, *options, port=None):
    port = port or free_port()
    log = data_dir.rstrip("/") + ".log"
    out = open(log, "ab")
    process = subprocess.Popen(
        [binary, "--data-dir", data_dir, "--listen", "127.0.0.1", "--port", str(port), "--http-port", "0", *options],
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    out.close()
    server = Server(process, port, log)
    start = os.path.getsize(log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if "accepting connections on 127.0.0.1:%d" % port in server.log_text()[0:] and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return server
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("millrace did not start:\n" + server.log_text())


@contextlib.contextmanager
def millrace(binary, *options):
    with temp_dir() as base:
        server = start_millrace(binary, os.path.join(base, "data"), *options)
        try:
            yield server
            code = server.process.poll()
            if code is not None:
                raise RuntimeError("millrace ended by itself with %d:\n%s" % (code, server.log_text()))
            code = server.stop()
            if code != 0:
                raise RuntimeError("millrace stopped with exit code %d:\n%s" % (code, server.log_text()))
            for mark in ("runtime error:", "AddressSanitizer", "ThreadSanitizer", "internal check failed"):
                if mark in server.log_text():
                    raise RuntimeError("report in the server's log:\n" + server.log_text())
        except BaseException:
            sys.stderr.write(server.log_text()[-8000:])
            raise
        finally:
            with contextlib.suppress(Exception):
                server.stop(signal.SIGKILL)


@contextlib.contextmanager
def postgres(*options):
    """A PostgreSQL of its own in a temporary directory; connect with user postgres, database postgres. Options are settings like
    fsync=on, which is off otherwise."""
    with temp_dir() as base:
        data = os.path.join(base, "pg")
        port = free_port()

        def become_postgres():
            if os.getuid() == 0:
                who = pwd.getpwnam("postgres")
                os.setgid(who.pw_gid)
                os.setuid(who.pw_uid)

        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(base, who.pw_uid, who.pw_gid)
        env = dict(os.environ, LC_ALL="C.UTF-8", LD_PRELOAD="")
        subprocess.run([POSTGRES_BIN + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8",
                        "--no-sync"], check=True, stdout=subprocess.DEVNULL, preexec_fn=become_postgres, env=env, cwd="/")
        log = os.path.join(base, "pg.log")
        out = open(log, "ab")
        process = subprocess.Popen(
            [POSTGRES_BIN + "/postgres", "-D", data, "-p", str(port), "-k", base, "-c", "listen_addresses=127.0.0.1", "-c",
             "fsync=off", "-c", "timezone=UTC", "-c", "max_connections=60", "-c", "jit=off",
             *(word for option in options for word in ("-c", option))],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, preexec_fn=become_postgres, env=env, cwd="/")
        out.close()
        server = Server(process, port, log)
        try:
            deadline = time.monotonic() + 60
            while "ready to accept connections" not in server.log_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("PostgreSQL did not start:\n" + server.log_text())
                time.sleep(0.02)
            yield server
        finally:
            server.stop(signal.SIGINT)


def cpu_seconds(pid):
    """CPU seconds of a process with its children, those that have ended too."""
    parents, spent = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name) as f:
                fields = f.read().rsplit(")", 1)[1].split()
                parents[int(name)] = int(fields[1])
                spent[int(name)] = sum(int(field) for field in fields[11:15])
    family = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in family} - family
        if not more:
            return sum(spent.get(member, 0) for member in family) / os.sysconf("SC_CLK_TCK")
        family |= more


def connect_postgres(server):
    import psycopg
    return psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", autocommit=True)


def connect_millrace(server, **options):
    import psycopg
    return psycopg.connect(host="127.0.0.1", port=server.port, user="test", dbname="millrace", autocommit=True, **options)
