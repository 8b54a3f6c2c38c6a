package millrace.kafka;

import java.lang.management.ManagementFactory;
import java.util.Locale;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Ingest BOOTSTRAP TOPIC json|avro: reads the topic from its beginning to its present end into an aggregate, twice in one JVM, and prints the
 * seconds of the second time: "WALL CPU". The first time warms up. Avro is plain Avro with the writer's schema that follows from the
 * table, so that no registry is asked.
 */
public final class Ingest {
    public static void main(String[] args) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", "1");
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("table.exec.mini-batch.enabled", "true");
        configuration.setString("table.exec.mini-batch.allow-latency", "2 s");
        configuration.setString("table.exec.mini-batch.size", "50000");
        configuration.setString("execution.checkpointing.interval", "30 s");
        TableEnvironment tables =
                TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        tables.executeSql("CREATE TABLE orders (id BIGINT NOT NULL, account INT NOT NULL, amount DOUBLE NOT NULL, note STRING NOT NULL)"
                + " WITH ('connector' = 'kafka', 'topic' = '" + args[1] + "', 'properties.bootstrap.servers' = '" + args[0] + "',"
                + " 'properties.isolation.level' = 'read_committed', 'scan.startup.mode' = 'earliest-offset',"
                + " 'scan.bounded.mode' = 'latest-offset', 'format' = '" + args[2] + "')");
        tables.executeSql("CREATE TABLE totals (account INT, n BIGINT, amount DOUBLE) WITH ('connector' = 'blackhole')");
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        for (int run = 0; run < 2; run++) {
            long wall = System.nanoTime(), cpu = system.getProcessCpuTime();
            tables.executeSql("INSERT INTO totals SELECT account, COUNT(*), SUM(amount) FROM orders GROUP BY account").await();
            if (run == 1)
                System.out.printf(Locale.ROOT, "%.3f %.3f%n", (System.nanoTime() - wall) / 1e9, (system.getProcessCpuTime() - cpu) / 1e9);
        }
        System.exit(0);
    }
}
