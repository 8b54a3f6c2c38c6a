package millrace.nexmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ExplainDetail;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.TableException;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.TimestampType;

/**
 * Bench --queries q0,q1 --checkpoints DIR --events N [--warmup N] [--warmup-cpu SECONDS] [--skip SHARE] [--parallelism N]
 *     [--backend heap|rocksdb] [--seed N] [--event-rate N] [--start TIMESTAMP] [--checkpoint-seconds N] [--results DIR] [--explain]
 *
 * Runs queries in an embedded cluster and prints a line with a JSON object for each on the standard output. The JVM is warmed up
 * by the same query over --warmup events, as jobs of their own until they have used --warmup-cpu; then comes the job that is
 * measured, from where --skip of its events are behind it.
 */
public final class Bench {
    private final Map<String, String> options = new LinkedHashMap<>(Map.of("events", "1000000", "warmup", "0",
            "warmup-cpu", "0", "skip", "0", "parallelism", "1", "backend", "heap", "seed", "7", "event-rate", "10000",
            "start", "2026-01-01 00:00:00", "checkpoint-seconds", "30"));
    private final String name, sql;

    private Bench(String[] args, String query) {
        for (int i = 0; i < args.length; i++) {
            String option = args[i].substring(2);
            options.put(option, option.equals("explain") ? "" : args[++i]);
        }
        name = query;
        sql = Queries.sql(name);
        if (sql == null)
            throw new IllegalArgumentException("there is no query " + name);
    }

    private long number(String option) {
        return Long.parseLong(options.get(option));
    }

    /** What Flink's Nexmark suite sets, but for the memory: that of one small task manager. */
    private Map<String, String> settings() {
        boolean rocks = options.get("backend").equals("rocksdb");
        Map<String, String> out = new LinkedHashMap<>();
        out.put("parallelism.default", options.get("parallelism"));
        out.put("pipeline.object-reuse", "true");
        out.put("table.exec.mini-batch.enabled", "true");
        out.put("table.exec.mini-batch.allow-latency", "2 s");
        out.put("table.exec.mini-batch.size", "50000");
        out.put("table.optimizer.distinct-agg.split.enabled", "true");
        out.put("table.optimizer.agg-phase-strategy", "AUTO");
        out.put("state.backend.type", rocks ? "rocksdb" : "hashmap");
        out.put("execution.checkpointing.interval", options.get("checkpoint-seconds") + " s");
        out.put("execution.checkpointing.mode", "EXACTLY_ONCE");
        out.put("execution.checkpointing.incremental", rocks ? "true" : "false");
        out.put("execution.checkpointing.checkpoints-after-tasks-finish", "false");
        out.put("taskmanager.memory.managed.size", rocks ? "1 gb" : "256 mb");
        out.put("taskmanager.memory.network.min", "128 mb");
        out.put("taskmanager.memory.network.max", "128 mb");
        out.put("taskmanager.numberOfTaskSlots", options.get("parallelism"));
        return out;
    }

    private StreamTableEnvironment environment(long events, long measuredFrom) {
        Map<String, String> all = new LinkedHashMap<>(settings());
        all.put("execution.checkpointing.dir", Path.of(options.get("checkpoints")).toUri().toString());
        all.put("execution.checkpointing.storage", "filesystem");
        all.put("table.local-time-zone", "UTC");
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment((int) number("parallelism"),
                Configuration.fromMap(all));
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        Queries.SCHEMA.forEach((relation, columns) -> tables.executeSql("CREATE TEMPORARY TABLE " + relation + " (" + columns
                + ", rowtime TIMESTAMP(3)" + (sql.contains("p_time") ? ", p_time AS PROCTIME()" : "")
                + ", WATERMARK FOR rowtime AS rowtime - INTERVAL '4' SECOND)"
                + " WITH ('connector' = 'nexmark', 'relation' = '" + relation + "', 'events' = '" + events + "', 'seed' = '"
                + options.get("seed") + "', 'event_rate' = '" + options.get("event-rate") + "', 'start' = '"
                + options.get("start") + "', 'measured_from' = '" + measuredFrom + "')"));
        tables.executeSql("CREATE TEMPORARY TABLE side_input (key BIGINT, `value` STRING) WITH ('connector' = 'side-input')");
        tables.createTemporarySystemFunction("count_char", CountChar.class);
        return tables;
    }

    /** The query into a sink of its own columns. */
    private StatementSet statement(StreamTableEnvironment tables, String results) {
        Table query = tables.sqlQuery(sql);
        Schema.Builder schema = Schema.newBuilder();
        for (Column column : query.getResolvedSchema().getColumns()) {
            LogicalType type = column.getDataType().getLogicalType();
            schema.column(column.getName(), type instanceof TimestampType time ? DataTypes.TIMESTAMP(time.getPrecision())
                    : column.getDataType());
        }
        TableDescriptor.Builder sink = TableDescriptor.forConnector("result").schema(schema.build());
        if (results != null)
            sink.option("file", results);
        return tables.createStatementSet().addInsert(sink.build(), query);
    }

    private void run(long events, long measuredFrom, String results) throws Exception {
        StreamTableEnvironment tables = environment(events, measuredFrom);
        StatementSet statement = statement(tables, results);
        if (options.containsKey("explain"))
            System.err.println(statement.explain(ExplainDetail.CHANGELOG_MODE));
        Meter.reset();
        ResultSink.reset();
        statement.execute().await();
    }

    private static long peakBytes() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
            return lines.filter(line -> line.startsWith("VmHWM:")).mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                    .findFirst().orElse(0) * 1024;
        }
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\')
                out.append('\\').append(c);
            else if (c < ' ')
                out.append(String.format("\\u%04x", (int) c));
            else
                out.append(c);
        }
        return out.append('"').toString();
    }

    private static String object(Map<String, ?> fields) {
        return fields.entrySet().stream().map(field -> quote(field.getKey()) + ": " + (field.getValue() instanceof Map<?, ?> map
                ? object(cast(map)) : field.getValue() instanceof String text ? quote(text) : field.getValue()))
                .collect(Collectors.joining(", ", "{", "}"));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, ?> cast(Map<?, ?> map) {
        return (Map<String, ?>) map;
    }

    /** How many of the first `events` events are rows of the streams that the query reads. */
    private long rowsRead(long events) {
        return Stream.of(Nexmark.Kind.values()).filter(kind -> Queries.reads(sql, kind.name().toLowerCase()))
                .mapToLong(kind -> Nexmark.rowsIn(kind, events)).sum();
    }

    private Map<String, Object> report() throws Exception {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("query", name);
        out.put("flink_version", EnvironmentInformation.getVersion());
        out.put("java_version", System.getProperty("java.version"));
        out.put("java_options", options.getOrDefault("java-options", ""));
        out.put("settings", settings());
        out.put("parallelism", number("parallelism"));
        out.put("backend", options.get("backend"));
        out.put("seed", number("seed"));
        out.put("event_rate", number("event-rate"));
        long measuredFrom = (long) (number("events") * Double.parseDouble(options.get("skip"))) / Nexmark.EVENTS_PER_ROUND
                * Nexmark.EVENTS_PER_ROUND;
        long rows = rowsRead(number("events")), measured = rows - rowsRead(measuredFrom);
        out.put("nexmark_events", number("events"));
        out.put("events", rows);
        out.put("events_measured", measured);
        try {
            long warmedUp = 0;
            for (long until = Meter.processNanos() + number("warmup-cpu") * 1000000000L; number("warmup") > 0
                    && (warmedUp == 0 || Meter.processNanos() < until); warmedUp += number("warmup"))
                run(number("warmup"), 0, null);
            out.put("warmup_nexmark_events", warmedUp);
            run(number("events"), measuredFrom,
                    options.containsKey("results") ? Path.of(options.get("results"), name + ".csv").toString() : null);
        } catch (TableException | ValidationException refused) {
            StringBuilder why = new StringBuilder();
            for (Throwable cause = refused; cause != null; cause = cause.getCause())
                why.append(why.isEmpty() ? "" : ": ").append(cause.getMessage());
            out.put("unsupported", why.toString());
            return out;
        }
        double cpu = Meter.cpuSeconds() - Meter.generatorSeconds();
        out.put("wall_s", Meter.wallSeconds());
        out.put("process_cpu_s", Meter.cpuSeconds());
        out.put("generator_cpu_s", Meter.generatorSeconds());
        out.put("cpu_s", cpu);
        out.put("events_per_wall_s", measured / Meter.wallSeconds());
        out.put("events_per_cpu_s", measured / cpu);
        out.put("jit_elapsed_s", Meter.compilerSeconds());
        out.put("gc_elapsed_s", Meter.collectorSeconds());
        out.put("peak_rss_bytes", peakBytes());
        out.put("changes_inserted", Meter.inserted.get());
        out.put("changes_updated", Meter.updated.get());
        out.put("changes_deleted", Meter.deleted.get());
        /* a file's sink is told what an update replaces, the black hole is not */
        out.put("result_rows", Meter.inserted.get() - Meter.deleted.get() + (options.containsKey("results") ? Meter.updated.get() : 0));
        return out;
    }

    public static void main(String[] args) throws Exception {
        String queries = args[List.of(args).indexOf("--queries") + 1];
        for (String query : queries.split(",")) {
            System.out.println(object(new Bench(args, query).report()));
            System.out.flush();
        }
        System.exit(0); /* an embedded cluster leaves threads behind */
    }
}
