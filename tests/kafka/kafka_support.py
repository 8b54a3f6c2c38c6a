"""kafka_support.py: a Kafka broker and a schema registry for tests and for ./dev kafka, on loopback, stopped by their own pid.

A real Apache Kafka when Maven could fetch one, else librdkafka's mock cluster, which knows topics, partitions, groups and a part of
transactions, but cannot leave out what was aborted, find offsets by time, compact, delete, or lose anything to retention. A test
asks `cluster.real` before such parts and says left_out(...) otherwise; a test that needs a broker for all it does calls need_real().
The environment decides with MILLRACE_KAFKA=real|mock; CI=true asks for the real one."""

import atexit
import collections
import contextlib
import ctypes
import fcntl
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
POM = os.path.join(HERE, "pom.xml")
SKIPPED = 77  # what tests.cmake counts as skipped
CLUSTER_ID = "TWlsbHJhY2VUZXN0czAwMQ"
# SASL users of every broker; bob's password has what breaks naive quoting
USERS = {"alice": "alice-secret", "bob": "p@s s'w=%&#\\\";"}
SCRAM_USERS = {"alice": "alice-secret"}
# The second one is for SCRAM alone: Debian's librdkafka 2.0.2 puts its own nonce into a message where newer brokers look for it and
# refuse what older ones ignore.
VERSION, SCRAM_VERSION = "4.3.1", "3.8.0"
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"]

Record = collections.namedtuple("Record", "value key partition headers timestamp offset", defaults=(None, None, None, None, None))


# ---- fetching ----


def cache_dir():
    """Where what Maven fetched is kept, by the contents of pom.xml: shared by all trees and builds of this machine."""
    with open(POM, "rb") as f:
        name = "kafka-" + hashlib.sha256(f.read()).hexdigest()[:12]
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "millrace", name)


def fetched():
    return os.path.exists(os.path.join(cache_dir(), "complete"))


def fetch():
    """Makes broker and registry ready to start; an error says why that is not possible."""
    if fetched():
        return
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise RuntimeError("there is no %s" % program)
    target = cache_dir()
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(target, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if fetched():
            return
        for version in (VERSION, SCRAM_VERSION):
            done = subprocess.run(["mvn", "-q", "-B", "-f", POM, "-Dout=" + target, "-Dkafka.version=" + version, "process-resources"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise RuntimeError("Maven could not fetch Apache Kafka:\n" + done.stdout[-2000:])
            with tempfile.TemporaryDirectory(prefix="millrace-kafka.") as base:
                prepare_broker(base, version)
        with tempfile.TemporaryDirectory(prefix="millrace-kafka.") as base:
            schemas = Registry(base, archive=True)
            schemas.start()
            schemas.register("x-value", '{"type": "string"}')
            schemas.stop()
        open(os.path.join(target, "complete"), "w").close()


def prepare_broker(base, version):
    """An empty broker's directory, which every broker begins with a copy of, and the classes it loads, parsed ahead."""
    scram = [word for name, password in SCRAM_USERS.items() for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
             for word in ("--add-scram", "%s=[name=%s,password=%s]" % (mechanism, name, password))]
    config, data, empty = os.path.join(base, "format.properties"), os.path.join(base, "data"), cached("empty", version)
    write_properties(config, broker_properties(data, 1, 2))
    subprocess.run([*JAVA, "-cp", kafka_classpath(version), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", config, *scram],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(empty, ignore_errors=True)
    shutil.copytree(data, empty)
    broker = KafkaBroker(base, version=version, archive=True)
    broker.start()
    broker.create_topic("t", 1)
    broker.produce("t", [Record("x")], transaction="commit")
    broker.read("t")
    broker.stop()


def cached(what, version):
    return os.path.join(cache_dir(), "%s-%s" % (what, version))


def kafka_classpath(version):
    with open(cached("kafka", version) + ".classpath") as f:
        return f.read().strip()


def registry_jar():
    folder = os.path.join(cache_dir(), "registry")
    return next(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith("-runner.jar"))


def wants_real():
    """Whether a test uses the real broker. Fetches it when it must be there."""
    said = os.environ.get("MILLRACE_KAFKA")
    if said == "mock":
        return False
    if said == "real" or os.environ.get("CI") == "true":
        fetch()
        return True
    return fetched() and shutil.which("java") is not None


left_out_parts = []


def left_out(what):
    """Notes that this part of a test did not run; ./dev test lists these lines after the run."""
    if not left_out_parts:
        atexit.register(lambda: print("left out without a real Kafka broker: " + ", ".join(left_out_parts), flush=True))
    left_out_parts.append(what)


def need_real(what):
    """Ends the test as skipped without a real broker."""
    if not wants_real():
        left_out(what)
        sys.exit(SKIPPED)


# ---- processes ----


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a test that is killed leaves no broker behind


def write_properties(path, properties):
    with open(path, "w") as f:
        for name, value in properties.items():
            f.write("%s=%s\n" % (name, str(value).replace("\\", "\\\\")))


def class_archive(name, archive):
    """Options that use the classes parsed ahead, or write them at exit."""
    path = os.path.join(cache_dir(), name)
    if archive:
        return ["-XX:ArchiveClassesAtExit=" + path]
    return ["-XX:SharedArchiveFile=" + path] if os.path.exists(path) else []


class Process:
    """A server that is started, stopped and started again on the same port and data."""

    def __init__(self, name, log, detached=False):
        self.name, self.log, self.detached, self.process = name, log, detached, None

    def launch(self, command, ready, **options):
        """ready(text of the log since this start) is asked until it is true."""
        with open(self.log, "ab") as out:
            since = out.tell()
            self.process = subprocess.Popen(command, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=out, stderr=subprocess.STDOUT,
                                            start_new_session=self.detached, preexec_fn=None if self.detached else die_with_parent, **options)
        deadline = time.monotonic() + 300
        while not ready(self.log_text(since)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError("%s did not start:\n%s" % (self.name, self.log_text(since)[-6000:]))
            time.sleep(0.02)

    def log_text(self, since=0):
        with open(self.log, "rb") as f:
            f.seek(since)
            return f.read().decode(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(300)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# ---- what the real broker and the mock share: everything a client can do ----


class Cluster(Process):
    real = False

    def client_config(self, **more):
        return {"bootstrap.servers": self.bootstrap, "broker.address.family": "v4", "log_level": 2, "reconnect.backoff.max.ms": 500,
                **{name.replace("_", "."): value for name, value in more.items()}}

    def produce(self, topic, records, transaction=None, **config):
        """Writes records and waits until the broker has them; transaction: "commit", "abort", or "hang", which leaves it open until
        the broker gives it up after transaction_timeout_ms."""
        import confluent_kafka
        failed = []

        def delivered(error, _message):
            if error is not None:
                failed.append(error)

        if transaction:
            config.setdefault("transactional_id", "test-%d-%d" % (os.getpid(), time.monotonic_ns()))
        # idempotent: a batch that a new topic's leader is not ready for comes again, and must not come behind the next one
        producer = confluent_kafka.Producer(self.client_config(**{
            "linger_ms": 5, "queue_buffering_max_messages": 1000000, "enable_idempotence": True, **config}))
        if transaction:
            producer.list_topics(topic, 60)  # what it knows nothing of yet, it asks for once a second
            producer.init_transactions(60)
            producer.begin_transaction()
        for record in records:
            options = {name: value for name, value in (("key", record.key), ("partition", record.partition), ("headers", record.headers),
                                                       ("timestamp", record.timestamp)) if value is not None}
            while True:
                try:
                    producer.produce(topic, record.value, on_delivery=delivered, **options)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        if producer.flush(120) != 0 or failed:
            raise RuntimeError("producing to %s failed: %s" % (topic, failed[:1] or "timeout"))
        if transaction == "commit":
            producer.commit_transaction(60)
        elif transaction == "abort":
            producer.abort_transaction(60)

    def reader(self, topic, **config):
        return Reader(self, topic, config)

    def read(self, topic, **config):
        """All records of a topic that a consumer of committed ones sees, in order of partition and offset; isolation_level =
        "read_uncommitted" for all there are."""
        reader = self.reader(topic, **config)
        try:
            return sorted(reader.more(), key=lambda record: (record.partition, record.offset))
        finally:
            reader.close()

    def ends(self, topic):
        """{partition: (first offset, one behind the last committed record)}"""
        consumer = self.reader(topic)
        try:
            return {partition: consumer.watermarks(partition) for partition in consumer.partitions}
        finally:
            consumer.close()


def headers_of(message):
    """A header without a value comes from the client without a reference of its own to None, of which Python would run out."""
    headers = message.headers()
    for _, value in headers or ():
        if value is None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    return headers


class Reader:
    """Reads a topic from its beginning to its present end, and later from there on."""

    def __init__(self, cluster, topic, config):
        import confluent_kafka
        self.kafka, self.topic = confluent_kafka, topic
        self.consumer = confluent_kafka.Consumer(cluster.client_config(**{
            "group_id": "test-%d" % time.monotonic_ns(), "enable_auto_commit": False, "enable_partition_eof": True,
            "auto_offset_reset": "earliest", "isolation_level": "read_committed", "fetch_wait_max_ms": 10, **config}))
        metadata = self.consumer.list_topics(topic, 60).topics[topic]
        if metadata.error is not None:
            raise RuntimeError("topic %s: %s" % (topic, metadata.error))
        self.partitions = sorted(metadata.partitions)
        self.next = {partition: confluent_kafka.OFFSET_BEGINNING for partition in self.partitions}

    def watermarks(self, partition):
        return self.consumer.get_watermark_offsets(self.kafka.TopicPartition(self.topic, partition), 60)

    def more(self):
        out, open_ = [], set(self.partitions)
        self.consumer.assign([self.kafka.TopicPartition(self.topic, partition, self.next[partition]) for partition in self.partitions])
        deadline = time.monotonic() + 300
        while open_:
            if time.monotonic() > deadline:
                raise RuntimeError("no end of topic %s, partitions %s" % (self.topic, sorted(open_)))
            for message in self.consumer.consume(10000, 0.02):
                error = message.error()
                if error is None:
                    out.append(Record(message.value(), message.key(), message.partition(), headers_of(message), message.timestamp()[1],
                                      message.offset()))
                    self.next[message.partition()] = message.offset() + 1
                elif error.code() == self.kafka.KafkaError._PARTITION_EOF:
                    open_.discard(message.partition())
                    self.next[message.partition()] = message.offset()
                elif not error.retriable() and error.code() not in (self.kafka.KafkaError._TRANSPORT, self.kafka.KafkaError._ALL_BROKERS_DOWN):
                    raise RuntimeError("reading %s failed: %s" % (self.topic, error))
        self.consumer.unassign()
        return out

    def close(self):
        self.consumer.close()


# ---- the real broker ----


def broker_properties(data, port, controller_port):
    return {
        "process.roles": "broker,controller", "node.id": 1, "controller.quorum.voters": "1@127.0.0.1:%d" % controller_port,
        "listeners": "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d" % (port, controller_port),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT", "controller.listener.names": "CONTROLLER", "log.dirs": data,
        "auto.create.topics.enable": "false", "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1, "transaction.state.log.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        # what would take minutes is looked at every second; records of any age stay
        "log.retention.ms": -1,
        "log.initial.task.delay.ms": 500, "log.retention.check.interval.ms": 1000, "log.cleaner.backoff.ms": 500,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        "log.segment.delete.delay.ms": 1000, "share.coordinator.state.topic.replication.factor": 1, "share.coordinator.state.topic.min.isr": 1,
    }


# everybody may do everything that is not denied
AUTHORIZED = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true"}


class KafkaBroker(Cluster):
    real = True

    def __init__(self, base, security=False, properties=(), port=None, version=VERSION, archive=False, detached=False):
        Cluster.__init__(self, "Kafka", os.path.join(base, "kafka.log"), detached)
        self.version, self.archive = version, archive
        self.config = os.path.join(base, "kafka.properties")
        data = os.path.join(base, "kafka")
        if not os.path.exists(data):
            shutil.copytree(cached("empty", version), data)
        port = port or harness.free_port()
        self.bootstrap = "127.0.0.1:%d" % port
        settings = broker_properties(data, port, harness.free_port())
        if security:
            self.secure(base, settings)
        settings.update(properties)
        self.settings = settings
        write_properties(self.config, settings)

    def secure(self, base, settings):
        """Three more listeners: TLS, SASL, and both; certificates for 127.0.0.1 and localhost by a new authority."""
        self.authority = os.path.join(base, "ca.pem")
        self.client_certificate, self.client_key = os.path.join(base, "client.pem"), os.path.join(base, "client.key")
        make_certificates(base)
        ports = [harness.free_port() for _ in range(3)]
        self.tls, self.sasl, self.sasl_tls = ("127.0.0.1:%d" % port for port in ports)
        settings["listeners"] += ",TLS://%s,SASL://%s,SASLTLS://%s" % (self.tls, self.sasl, self.sasl_tls)
        settings.update({
            "ssl.keystore.type": "PEM", "ssl.keystore.location": os.path.join(base, "broker.both"), "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority, "ssl.client.auth": "requested",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"})
        quoted = " ".join('user_%s="%s"' % (name, password.replace("\\", "\\\\").replace('"', '\\"')) for name, password in USERS.items())
        for listener in ("sasl", "sasltls"):
            settings["listener.name.%s.plain.sasl.jaas.config" % listener] = \
                "org.apache.kafka.common.security.plain.PlainLoginModule required %s;" % quoted
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                settings["listener.name.%s.%s.sasl.jaas.config" % (listener, mechanism)] = \
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"

    def stop(self, how=signal.SIGTERM):
        Cluster.stop(self, how)
        if how == signal.SIGKILL:
            # It comes back as another one for its controller, which lets it in when the session of the one before is over. That
            # takes 9 s; with much less, a broker that gets no processor for a while would seem to be dead.
            write_properties(self.config, {**self.settings, "broker.session.timeout.ms": 5000, "broker.heartbeat.interval.ms": 500})

    def start(self):
        self.launch([*JAVA, "-Xmx384m", *class_archive("kafka-%s.jsa" % self.version, self.archive), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                     "-Dorg.slf4j.simpleLogger.log.kafka.server=info", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                     "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-cp", kafka_classpath(self.version), "kafka.Kafka", self.config],
                    lambda log: "Kafka Server started" in log)

    def admin(self):
        import confluent_kafka.admin
        return confluent_kafka.admin.AdminClient(self.client_config())

    def wait_for_topic(self, admin, name, partitions):
        """Creation is answered before every broker, even the only one, knows the topic."""
        while True:
            topic = admin.list_topics(name, 60).topics[name]
            if topic.error is None and len(topic.partitions) == partitions and all(p.leader >= 0 for p in topic.partitions.values()):
                return
            time.sleep(0.02)

    def create_topic(self, name, partitions=1, **config):
        import confluent_kafka.admin
        topic = confluent_kafka.admin.NewTopic(name, partitions, 1, config={key.replace("_", "."): str(value) for key, value in config.items()})
        admin = self.admin()
        admin.create_topics([topic], operation_timeout=60, request_timeout=280)[name].result(300)
        self.wait_for_topic(admin, name, partitions)

    def add_partitions(self, name, partitions):
        """So many there are afterwards."""
        import confluent_kafka.admin
        admin = self.admin()
        admin.create_partitions([confluent_kafka.admin.NewPartitions(name, partitions)], operation_timeout=60, request_timeout=280)[name].result(300)
        self.wait_for_topic(admin, name, partitions)

    def delete_topic(self, name):
        admin = self.admin()
        admin.delete_topics([name], operation_timeout=60, request_timeout=280)[name].result(300)
        while name in admin.list_topics(timeout=60).topics:
            time.sleep(0.02)

    def set_topic(self, name, **config):
        import confluent_kafka.admin
        resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.RESOURCE_TOPIC, name)
        for key, value in config.items():
            resource.set_config(key.replace("_", "."), str(value))
        admin = self.admin()
        admin.alter_configs([resource], request_timeout=280)[resource].result(300)

    def ask(self, api, version, body):
        """Sends a request that the Python client does not know, in the protocol's older encoding; the answer without its header."""
        body = struct.pack("!hhih4s", api, version, 1, 4, b"test") + body
        host, port = self.bootstrap.split(":")
        with socket.create_connection((host, int(port)), 30) as sock:
            sock.sendall(struct.pack("!i", len(body)) + body)
            answer = sock.makefile("rb")
            size, = struct.unpack("!i", answer.read(4))
            return answer.read(size)[4:]

    def delete_records(self, topic, partition, offset):
        """What retention does: offset is the partition's first one afterwards."""
        not_leader, low, error = 6, -1, 6
        while error == not_leader:  # a broker that is busy takes itself for gone now and then
            answer = self.ask(21, 1, struct.pack("!i", 1) + text(topic) + struct.pack("!iiqi", 1, partition, offset, 30000))
            low, error = struct.unpack("!qh", answer[-10:])
        if error != 0 or low != offset:
            raise RuntimeError("DeleteRecords of %s/%d before %d failed: error %d, first offset %d" % (topic, partition, offset, error, low))

    @contextlib.contextmanager
    def denied_transactions(self):
        """To everybody, for a while; the broker needs the properties of AUTHORIZED."""
        create_acls, delete_acls, transactional_id, literal, everything, deny = 30, 31, 5, 3, 2, 2
        rule = (struct.pack("!ib", 1, transactional_id) + text("*") + struct.pack("!b", literal) + text("User:ANONYMOUS") + text("*")
                + struct.pack("!bb", everything, deny))
        for api in (create_acls, delete_acls):
            answer = self.ask(api, 1, rule)
            _throttled, count, error = struct.unpack("!iih", answer[:10])
            if (count, error) != (1, 0):
                raise RuntimeError("%s failed: error %d" % ("CreateAcls" if api == create_acls else "DeleteAcls", error))
            if api == create_acls:
                yield


def text(value):
    return struct.pack("!h", len(value)) + value.encode()


def make_certificates(base):
    """ca.pem, broker.both (key and certificate), client.pem and client.key."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=base)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")  # RSA looks for primes for seconds
    openssl("req", "-x509", *curve, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test authority")
    for who, names in (("broker", "IP:127.0.0.1,DNS:localhost"), ("client", "DNS:client")):
        with open(os.path.join(base, who + ".ext"), "w") as f:
            f.write("subjectAltName=%s\n" % names)
        openssl("req", *curve, "-nodes", "-keyout", who + ".key", "-out", who + ".csr", "-subj", "/CN=" + who)
        openssl("x509", "-req", "-in", who + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-out",
                who + ".pem", "-extfile", who + ".ext")
    with open(os.path.join(base, "broker.both"), "w") as out:
        for part in ("broker.key", "broker.pem"):
            with open(os.path.join(base, part)) as f:
                out.write(f.read())


# ---- the mock ----


class MockCluster(Cluster):
    """Keeps at most 5 MB of a partition, forgets everything when its process ends; stop and start only cut and allow connections."""

    def __init__(self, base, program, detached=False):
        Cluster.__init__(self, "mock_cluster", os.path.join(base, "mock.log"), detached)
        self.program = program

    def start(self):
        if self.process is not None:
            return self.tell("up")
        with open(self.log, "ab"):
            pass
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True,
                                        preexec_fn=None if self.detached else die_with_parent)
        self.bootstrap = self.process.stdout.readline().split()[1]

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError("mock_cluster: %s: %s" % (command, answer or "it ended"))

    def create_topic(self, name, partitions=1, **_config):
        self.tell("create %s %d" % (name, partitions))

    def stop(self, how=None):
        self.tell("down")

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


@contextlib.contextmanager
def cluster(binary, security=False, properties=(), version=VERSION):
    """The broker a test uses; binary is the server's, beside which mock_cluster is built."""
    with harness.temp_dir() as base:
        if wants_real():
            broker = KafkaBroker(base, security, properties, version=version)
        else:
            broker = MockCluster(base, os.path.join(os.path.dirname(os.path.abspath(binary)), "mock_cluster"))
        try:
            broker.start()
            yield broker
        except BaseException:
            if os.path.exists(broker.log):
                sys.stderr.write(broker.log_text()[-3000:])
            raise
        finally:
            if broker.real:
                broker.stop()
            elif broker.process:
                broker.end()


# ---- the schema registry ----


class Registry(Process):
    """Apicurio Registry, which speaks the API that Confluent's registry made common."""

    real = True

    def __init__(self, base, port=None, archive=False, detached=False):
        Process.__init__(self, "the schema registry", os.path.join(base, "registry.log"), detached)
        self.archive = archive
        self.port = port or harness.free_port()
        self.url = "http://127.0.0.1:%d/apis/ccompat/v7" % self.port

    def start(self):
        def ready(_log):
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/subjects", timeout=5):
                return True
            return False

        self.launch([*JAVA, "-Xmx256m", *class_archive("registry.jsa", self.archive), "-Dquarkus.http.host=127.0.0.1",
                     "-Dquarkus.http.port=%d" % self.port, "-Dquarkus.http.access-log.enabled=false", "-jar", registry_jar()], ready)

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(),
                                         {"Content-Type": "application/vnd.schemaregistry.v1+json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError("%s: %s %s" % (path, error, error.read().decode(errors="replace"))) from None

    def register(self, subject, schema, kind="AVRO", references=()):
        """Returns the schema's id."""
        body = {"schema": schema if isinstance(schema, str) else json.dumps(schema)}
        if kind != "AVRO":
            body["schemaType"] = kind
        if references:
            body["references"] = list(references)
        return self.ask("/subjects/%s/versions" % subject, body)["id"]


class MockRegistry(Registry):
    """The few requests of that API that clients of schemas use, answered from memory by a thread of the test."""

    real = False

    def __init__(self):
        schemas, subjects = [], {}  # id - 1 -> body; subject -> ids by version

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_words):
                pass

            def answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                _, kind, subject, *_ = self.path.split("/")
                body.pop("id", None)
                if body not in schemas:
                    schemas.append(body)
                number = schemas.index(body) + 1
                versions = subjects.setdefault(subject, [])
                if number not in versions:
                    versions.append(number)
                self.answer(200, {"id": number, "subject": subject, "version": versions.index(number) + 1, **body})

            def do_GET(self):
                parts = self.path.split("?")[0].strip("/").split("/")
                with contextlib.suppress(LookupError, ValueError):
                    if parts == ["subjects"]:
                        return self.answer(200, sorted(subjects))
                    if parts[:2] == ["schemas", "ids"] and int(parts[2]) >= 1:
                        return self.answer(200, schemas[int(parts[2]) - 1])
                    versions = subjects[parts[1]]
                    if len(parts) == 3:
                        return self.answer(200, list(range(1, len(versions) + 1)))
                    version = len(versions) if parts[3] == "latest" else int(parts[3])
                    number = versions[version - 1]
                    return self.answer(200, {"subject": parts[1], "version": version, "id": number, **schemas[number - 1]})
                self.answer(404, {"error_code": 40403, "message": "not found"})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self, how=None):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def registry():
    with harness.temp_dir() as base:
        server = Registry(base) if wants_real() else MockRegistry()
        try:
            server.start()
            yield server
        finally:
            server.stop()


# ---- ./dev kafka ----


def ends_pid(pid):
    with contextlib.suppress(OSError):
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            if not f.read().startswith(JAVA[0].encode() + b"\0"):
                return  # it ended long ago, and another has its number
        os.kill(pid, signal.SIGTERM)
        for _ in range(3000):
            with open("/proc/%d/stat" % pid) as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
            time.sleep(0.02)


def command_line(words):
    """kafka_support.py fetch | start DIR [PORT [REGISTRY_PORT]] | stop DIR"""
    if words[0] == "fetch":
        try:
            fetch()
        except RuntimeError as error:
            sys.exit(str(error))
        return
    base = words[1]
    state = os.path.join(base, "pids")
    if words[0] == "stop":
        if not os.path.exists(state):
            sys.exit("no broker was started here")
        with open(state) as f:
            for pid in f.read().split():
                ends_pid(int(pid))
        os.unlink(state)
        return
    if os.path.exists(state):
        sys.exit("a broker was started here already; ./dev kafka stop ends it")
    fetch()
    os.makedirs(base, exist_ok=True)
    # topics are made by whoever first writes to them, as most brokers are set up
    broker = KafkaBroker(base, properties={"auto.create.topics.enable": "true"}, port=int(words[2]), detached=True)
    broker.start()
    with open(state, "w") as f:
        f.write("%d\n" % broker.pid)
    print("Kafka: bootstrap.servers = %s (pid %d, data and log in %s)" % (broker.bootstrap, broker.pid, base))
    if len(words) > 3:
        schemas = Registry(base, port=int(words[3]), detached=True)
        schemas.start()
        with open(state, "a") as f:
            f.write("%d\n" % schemas.pid)
        print("schema registry: %s (pid %d)" % (schemas.url, schemas.pid))


if __name__ == "__main__":
    command_line(sys.argv[1:])
