package millrace.nexmark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/**
 * One relation of the first `events` events, bounded. Blocks of BLOCK events are dealt out to the readers in turn; a reader
 * makes one block ahead into a buffer, on its thread's CPU clock, and hands the rows out from there.
 */
final class NexmarkSource implements Source<RowData, NexmarkSource.Split, Collection<NexmarkSource.Split>> {
    private static final long BLOCK = 1000; /* whole rounds */
    /* Flink's own readers hand out one row per call; a few more save it some calls and still let timers run. */
    private static final int ROWS_PER_POLL = 100;

    private final long seed, startMicros, eventsPerSecond;
    private final Nexmark.Kind kind;
    private final long events, measuredFrom;

    NexmarkSource(long seed, long startMicros, long eventsPerSecond, Nexmark.Kind kind, long events, long measuredFrom) {
        this.seed = seed;
        this.startMicros = startMicros;
        this.eventsPerSecond = eventsPerSecond;
        this.kind = kind;
        this.events = events;
        this.measuredFrom = measuredFrom;
    }

    /** Blocks number, number + of, number + 2 * of ...; `row` is the next to be handed out. */
    static final class Split implements SourceSplit {
        final int number, of;
        final long row;

        Split(int number, int of, long row) {
            this.number = number;
            this.of = of;
            this.row = row;
        }

        @Override
        public String splitId() {
            return number + "/" + of;
        }
    }

    private static final class Splits implements SimpleVersionedSerializer<Split> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Split split) {
            return ByteBuffer.allocate(16).putInt(split.number).putInt(split.of).putLong(split.row).array();
        }

        @Override
        public Split deserialize(int version, byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            return new Split(in.getInt(), in.getInt(), in.getLong());
        }
    }

    private static final class Unassigned implements SimpleVersionedSerializer<Collection<Split>> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Collection<Split> splits) {
            ByteBuffer out = ByteBuffer.allocate(16 * splits.size());
            for (Split split : splits)
                out.putInt(split.number).putInt(split.of).putLong(split.row);
            return out.array();
        }

        @Override
        public Collection<Split> deserialize(int version, byte[] bytes) {
            Collection<Split> splits = new ArrayList<>();
            for (ByteBuffer in = ByteBuffer.wrap(bytes); in.hasRemaining();)
                splits.add(new Split(in.getInt(), in.getInt(), in.getLong()));
            return splits;
        }
    }

    private static final class Enumerator implements SplitEnumerator<Split, Collection<Split>> {
        private final SplitEnumeratorContext<Split> context;
        private final List<Split> unassigned;

        Enumerator(SplitEnumeratorContext<Split> context, Collection<Split> unassigned) {
            this.context = context;
            this.unassigned = new ArrayList<>(unassigned);
        }

        @Override
        public void start() {
        }

        @Override
        public void handleSplitRequest(int subtask, String host) {
        }

        @Override
        public void addSplitsBack(List<Split> splits, int subtask) {
            unassigned.addAll(splits);
        }

        @Override
        public void addReader(int subtask) {
            unassigned.removeIf(split -> {
                if (split.number % context.currentParallelism() != subtask)
                    return false;
                context.assignSplit(split, subtask);
                return true;
            });
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public Collection<Split> snapshotState(long checkpoint) {
            return new ArrayList<>(unassigned);
        }

        @Override
        public void close() {
        }
    }

    /** Splits are read one after the other when there are several (after a restore with fewer readers). */
    private final class Reader implements SourceReader<RowData, Split> {
        private final Nexmark nexmark = new Nexmark(seed, startMicros, eventsPerSecond);
        private final Queue<Split> splits = new ArrayDeque<>();
        private final GenericRowData[] buffer = new GenericRowData[(int) BLOCK];
        private CompletableFuture<Void> available = new CompletableFuture<>();
        private Pace.Runner runner;
        private Split current;
        private long block;     /* of the current split, the one that is read */
        private int next, count; /* in the buffer: rows of the block; count is 0 until they are made */
        private boolean noMoreSplits, measured;

        @Override
        public void start() {
            runner = Pace.join();
        }

        @Override
        public InputStatus pollNext(ReaderOutput<RowData> output) {
            if (count == 0) {
                InputStatus status = fill();
                if (status != null)
                    return status;
            }
            for (int end = Math.min(next + ROWS_PER_POLL, count); next < end; next++) {
                output.collect(buffer[next]);
                buffer[next] = null;
            }
            if (next == count) {
                block += current.of;
                next = count = 0;
            }
            return InputStatus.MORE_AVAILABLE;
        }

        /** Makes the rows of the block that is next; not null: there are none, or not yet. */
        private InputStatus fill() {
            if (current == null) {
                current = splits.poll();
                if (current == null)
                    return noMoreSplits ? end() : pause(new CompletableFuture<>());
                block = Math.max(Nexmark.eventOfRow(kind, current.row) / BLOCK, current.number);
                next = (int) Math.max(current.row - firstRow(), 0);
            }
            if (firstRow() + next >= Nexmark.rowsIn(kind, events)) {
                current = null;
                return InputStatus.MORE_AVAILABLE;
            }
            CompletableFuture<Void> wait = Pace.at(runner, block * BLOCK);
            if (wait != null)
                return pause(wait);
            if (!measured && block * BLOCK >= measuredFrom) {
                measured = true;
                Meter.start();
            }
            long before = Meter.threadNanos();
            long first = firstRow(), end = Nexmark.rowsIn(kind, Math.min((block + 1) * BLOCK, events));
            while (count < end - first) {
                buffer[count] = nexmark.row(kind, first + count);
                count++;
            }
            Meter.addGenerator(Meter.threadNanos() - before);
            return null;
        }

        private long firstRow() {
            return Nexmark.rowsIn(kind, block * BLOCK);
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            List<Split> out = new ArrayList<>(splits);
            if (current != null)
                out.add(new Split(current.number, current.of, firstRow() + next));
            return out;
        }

        private InputStatus end() {
            leave();
            return InputStatus.END_OF_INPUT;
        }

        private InputStatus pause(CompletableFuture<Void> until) {
            available = until;
            return InputStatus.NOTHING_AVAILABLE;
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return available;
        }

        @Override
        public void addSplits(List<Split> more) {
            splits.addAll(more);
            available.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            noMoreSplits = true;
            available.complete(null);
        }

        private void leave() {
            if (runner != null)
                Pace.leave(runner);
            runner = null;
        }

        @Override
        public void close() {
            leave();
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public SplitEnumerator<Split, Collection<Split>> createEnumerator(SplitEnumeratorContext<Split> context) {
        List<Split> splits = new ArrayList<>();
        for (int i = 0; i < context.currentParallelism(); i++)
            splits.add(new Split(i, context.currentParallelism(), 0));
        return new Enumerator(context, splits);
    }

    @Override
    public SplitEnumerator<Split, Collection<Split>> restoreEnumerator(SplitEnumeratorContext<Split> context, Collection<Split> state) {
        return new Enumerator(context, state);
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new Splits();
    }

    @Override
    public SimpleVersionedSerializer<Collection<Split>> getEnumeratorCheckpointSerializer() {
        return new Unassigned();
    }

    @Override
    public SourceReader<RowData, Split> createReader(SourceReaderContext context) throws IOException {
        return new Reader();
    }
}
