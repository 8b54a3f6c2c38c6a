"""harness.py: real servers for tests: a private PostgreSQL 15 and a Millrace, on loopback, stopped by their own pid."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

POSTGRES_BIN = "/usr/lib/postgresql/15/bin"
SMALL = bool(os.environ.get("MILLRACE_TEST_SMALL"))  # sanitizer builds: fewer rounds, same checks


reserved = []  # names that say to other tests which ports are taken; gone with this process


def free_port():
    """One at which nobody listens, which no other test is given while this one runs, and which no connection that goes out gets."""
    while True:
        port = random.SystemRandom().randrange(15000, 32768)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as s:
            try:
                name.bind("\0millrace-test-port-%d" % port)
                s.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        reserved.append(name)
        return port


def memory_dir(size):
    """A directory in memory with room for so many bytes, where a commit does not wait for a disk; None if there is none."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free >= size and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return None


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

    def start_again(self):
        """After stop, for those that know how: the same port and data."""
        self.process = self.launch()
        self.pid = self.process.pid
        self.wait_ready()

    def log_text(self, start=0):
        with open(self.log, "rb") as f:
            f.seek(start)
            return f.read().decode(errors="replace")


@contextlib.contextmanager
def temp_dir(below=None):
    path = tempfile.mkdtemp(prefix="millrace-test.", dir=below)
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


STARTS = {}  # of each data directory


def next_workers(data_dir, options):
    """--workers 1,2,4: each start on a data directory takes the next number."""
    start = STARTS[data_dir] = STARTS.get(data_dir, -1) + 1
    numbers = [option.split(",") if before == "--workers" else [option] for before, option in zip(("",) + options, options)]
    return [choice[start % len(choice)] for choice in numbers]


def start_millrace(binary, data_dir, *options, port=None):
    port = port or free_port()
    log = data_dir.rstrip("/") + ".log"
    out = open(log, "ab")
    start = os.path.getsize(log)  # what an earlier server has said there does not count
    process = subprocess.Popen(
        [binary, "--data-dir", data_dir, "--listen", "127.0.0.1", "--port", str(port), "--http-port", "0",
         *next_workers(data_dir, options)],
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    out.close()
    server = Server(process, port, log)
    server.started_with = binary, data_dir, options
    deadline = time.monotonic() + 600  # state that comes back slowly on a busy machine is no failure
    while time.monotonic() < deadline:
        if "accepting connections on 127.0.0.1:%d" % port in server.log_text(start) and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return server
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("millrace did not start:\n" + server.log_text())


def restart_millrace(server, how):
    """Ends it by this signal and starts it again, on the same data and port."""
    code = server.stop(how)
    if how == signal.SIGTERM and code != 0:
        raise RuntimeError("millrace stopped with exit code %d:\n%s" % (code, server.log_text()))
    binary, data_dir, options = server.started_with
    again = start_millrace(binary, data_dir, *options, port=server.port)
    server.process, server.pid = again.process, again.pid


@contextlib.contextmanager
def millrace(binary, *options, below=None):
    """A Millrace with a new data directory, in the directory below when that is given."""
    with temp_dir(below) as base:
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

        def launch():
            with open(log, "wb") as out:
                return subprocess.Popen(
                    [POSTGRES_BIN + "/postgres", "-D", data, "-p", str(port), "-k", base, "-c", "listen_addresses=127.0.0.1", "-c",
                     "fsync=off", "-c", "timezone=UTC", "-c", "max_connections=60", "-c", "jit=off",
                     *(word for option in options for word in ("-c", option))],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, preexec_fn=become_postgres, env=env, cwd="/")

        def wait():
            deadline = time.monotonic() + 60
            while "ready to accept connections" not in server.log_text():
                if server.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("PostgreSQL did not start:\n" + server.log_text())
                time.sleep(0.02)

        server = Server(launch(), port, log)
        server.launch, server.wait_ready = launch, wait
        try:
            wait()
            yield server
        finally:
            server.stop(signal.SIGINT)


@contextlib.contextmanager
def redis(*options):
    """A Redis of its own that keeps nothing on disk but what SHUTDOWN SAVE leaves in its temporary directory."""
    with temp_dir() as base:
        port = free_port()
        log = os.path.join(base, "redis.log")

        def launch():
            with open(log, "wb") as out:
                return subprocess.Popen(
                    ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", base, "--save", "", *options],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

        def wait():
            deadline = time.monotonic() + 60
            while "eady to accept connections" not in server.log_text():
                if server.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("Redis did not start:\n" + server.log_text())
                time.sleep(0.02)

        server = Server(launch(), port, log)
        server.launch, server.wait_ready = launch, wait
        try:
            wait()
            yield server
        finally:
            server.stop()


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


class WireError(Exception):
    def __init__(self, body):
        fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
        self.sqlstate = fields.get(b"C")
        Exception.__init__(self, "%s: %s" % (self.sqlstate, fields.get(b"M")))


class Wire:
    """A connection to Millrace for many small messages: a tenth of psycopg's time for each."""

    def __init__(self, server, pause=None):
        """pause, when given, is called before each look for what the server has sent, so that it is read in larger pieces."""
        self.server = server
        self.pause = pause or (lambda: None)
        self.buffer = b""
        self.sock = socket.create_connection(("127.0.0.1", server.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = struct.pack("!i", 196608) + b"user\0test\0database\0millrace\0\0"
        self.sock.sendall(struct.pack("!i", len(body) + 4) + body)
        for kind, body in self.messages():
            if kind == b"K":
                self.key = body

    def messages(self):
        """Yields (kind, body) up to ReadyForQuery; raises WireError after it when the server sent an error."""
        error = None
        while True:
            buffer, at = self.buffer, 0
            end = len(buffer)
            while end - at >= 5:
                after = at + 1 + int.from_bytes(buffer[at + 1:at + 5], "big")
                if after > end:
                    break
                kind = buffer[at:at + 1]
                if kind == b"Z":
                    self.buffer = buffer[after:]
                    if error is not None:
                        raise error
                    return
                if kind == b"E":
                    error = WireError(buffer[at + 5:after])
                else:
                    yield kind, buffer[at + 5:after]
                at = after
            self.pause()
            more = self.sock.recv(1 << 18)
            if not more:
                raise error or ConnectionError("the server closed the connection")
            self.buffer = buffer[at:] + more

    def send(self, *messages):
        self.sock.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))

    def execute(self, sql):
        """Runs statements, leaving out what they return."""
        self.send((b"Q", sql.encode() + b"\0"))
        for _ in self.messages():
            pass

    def rows(self, sql):
        """The rows of a query as lists of texts; NULL is None."""
        self.send((b"Q", sql.encode() + b"\0"))
        out = []
        for kind, body in self.messages():
            if kind != b"D":
                continue
            at, row = 2, []
            while at < len(body):
                size = int.from_bytes(body[at:at + 4], "big", signed=True)
                at += 4
                row.append(None if size < 0 else body[at:at + size].decode())
                at += max(size, 0)
            out.append(row)
        return out

    def copy_in(self, sql, data):
        """COPY ... FROM STDIN of one message."""
        self.send((b"Q", sql.encode() + b"\0"), (b"d", data.encode()), (b"c", b""))
        for _ in self.messages():
            pass

    def copy_out(self, sql):
        """Yields the fields of each row of COPY ... TO STDOUT, texts without escapes, or None for NULL."""
        self.send((b"Q", sql.encode() + b"\0"))
        for kind, body in self.messages():
            if kind == b"d":
                yield [None if field == "\\N" else field for field in body.decode().rstrip("\n").split("\t")]

    def cancel(self):
        with socket.create_connection(("127.0.0.1", self.server.port)) as sock:
            sock.sendall(struct.pack("!ii", 16, 80877102) + self.key)

    def close(self):
        self.sock.close()
