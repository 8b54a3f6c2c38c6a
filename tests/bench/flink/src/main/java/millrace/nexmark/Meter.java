package millrace.nexmark;

import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Time of one job: from where its sources pass the event at which the measured part begins, to the last row that a sink
 * has seen. Sources and sinks run in this very JVM (an embedded cluster), so that they share this object; one job runs at a
 * time.
 */
final class Meter {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static final com.sun.management.OperatingSystemMXBean PROCESS =
            (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private static final AtomicLong generatorNanos = new AtomicLong();
    private static long startWall, startCpu, startGenerator, startCompiled, startCollected;
    private static long wallNanos, cpuNanos, ownNanos, compiledMillis, collectedMillis;

    static final AtomicLong inserted = new AtomicLong(), updated = new AtomicLong(), deleted = new AtomicLong();

    private Meter() {
    }

    static synchronized void reset() {
        generatorNanos.set(0);
        inserted.set(0);
        updated.set(0);
        deleted.set(0);
        wallNanos = cpuNanos = ownNanos = compiledMillis = collectedMillis = 0;
    }

    /** A source comes to the measured part; the last one starts the clocks. */
    static synchronized void start() {
        startWall = System.nanoTime();
        startCpu = PROCESS.getProcessCpuTime();
        startGenerator = generatorNanos.get();
        startCompiled = compiled();
        startCollected = collected();
    }

    /** A sink has everything; the last call counts. */
    static synchronized void stop() {
        wallNanos = System.nanoTime() - startWall;
        cpuNanos = PROCESS.getProcessCpuTime() - startCpu;
        ownNanos = generatorNanos.get() - startGenerator;
        compiledMillis = compiled() - startCompiled;
        collectedMillis = collected() - startCollected;
    }

    private static long compiled() {
        return ManagementFactory.getCompilationMXBean().getTotalCompilationTime();
    }

    private static long collected() {
        return ManagementFactory.getGarbageCollectorMXBeans().stream().mapToLong(GarbageCollectorMXBean::getCollectionTime).sum();
    }

    static long processNanos() {
        return PROCESS.getProcessCpuTime();
    }

    static long threadNanos() {
        return THREADS.getCurrentThreadCpuTime();
    }

    static void addGenerator(long nanos) {
        generatorNanos.addAndGet(nanos);
    }

    static double wallSeconds() {
        return wallNanos / 1e9;
    }

    static double cpuSeconds() {
        return cpuNanos / 1e9;
    }

    /** Elapsed, not CPU: the JVM tells no more. */
    static double compilerSeconds() {
        return compiledMillis / 1e3;
    }

    /** Elapsed, not CPU: the JVM tells no more. */
    static double collectorSeconds() {
        return collectedMillis / 1e3;
    }

    static double generatorSeconds() {
        return ownNanos / 1e9;
    }
}
