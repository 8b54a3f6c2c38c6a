package millrace.nexmark;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.types.RowKind;

/**
 * Connector 'result'. Without a file: a black hole that counts the changes by kind and, like Flink's own, asks for no
 * UPDATE_BEFORE. With a file: takes all changes, and at the end writes the rows that are left as CSV as PostgreSQL's COPY does.
 */
public final class ResultSink implements DynamicTableSinkFactory {
    private static final DateTimeFormatter TIMESTAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSSSSS");
    private static final ConfigOption<String> FILE = ConfigOptions.key("file").stringType().noDefaultValue();

    /* of all writers of the job: changes of one row may come to several, and the last writer to end writes all rows */
    private static final Map<String, Long> rows = new HashMap<>();

    /** Before each job: one runs at a time. */
    static void reset() {
        rows.clear();
    }

    @Override
    public String factoryIdentifier() {
        return "result";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(FILE);
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        var types = context.getCatalogTable().getResolvedSchema().toPhysicalRowDataType().getLogicalType().getChildren();
        RowData.FieldGetter[] fields = new RowData.FieldGetter[types.size()];
        for (int i = 0; i < fields.length; i++)
            fields[i] = RowData.createFieldGetter(types.get(i), i);
        return new Table(helper.getOptions().get(FILE), fields);
    }

    private record Table(String file, RowData.FieldGetter[] fields) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            if (file != null)
                return requested;
            ChangelogMode.Builder mode = ChangelogMode.newBuilder();
            for (RowKind kind : requested.getContainedKinds()) {
                if (kind != RowKind.UPDATE_BEFORE)
                    mode.addContainedKind(kind);
            }
            return mode.build();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(new Output(file, fields));
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "result";
        }
    }

    private record Output(String file, RowData.FieldGetter[] fields) implements Sink<RowData> {
        @Override
        public SinkWriter<RowData> createWriter(WriterInitContext context) {
            return file == null ? new Counter() : new Folder(Path.of(file), fields);
        }
    }

    private static final class Counter implements SinkWriter<RowData> {
        private long inserted, updated, deleted;

        @Override
        public void write(RowData row, Context context) {
            switch (row.getRowKind()) {
            case INSERT -> inserted++;
            case UPDATE_AFTER -> updated++;
            default -> deleted++;
            }
        }

        @Override
        public void flush(boolean endOfInput) {
            if (endOfInput) {
                Meter.inserted.addAndGet(inserted);
                Meter.updated.addAndGet(updated);
                Meter.deleted.addAndGet(deleted);
                Meter.stop();
            }
        }

        @Override
        public void close() {
        }
    }

    private static final class Folder implements SinkWriter<RowData> {
        private final Path file;
        private final RowData.FieldGetter[] fields;

        Folder(Path file, RowData.FieldGetter[] fields) {
            this.file = file;
            this.fields = fields;
        }

        @Override
        public void write(RowData row, Context context) {
            boolean more = row.getRowKind() == RowKind.INSERT || row.getRowKind() == RowKind.UPDATE_AFTER;
            String line = line(row);
            synchronized (rows) {
                rows.merge(line, more ? 1L : -1L, (a, b) -> a + b == 0 ? null : a + b);
            }
            (row.getRowKind() == RowKind.INSERT ? Meter.inserted : more ? Meter.updated : Meter.deleted).incrementAndGet();
        }

        private String line(RowData row) {
            StringBuilder out = new StringBuilder();
            for (int i = 0; i < fields.length; i++) {
                if (i > 0)
                    out.append(',');
                Object value = fields[i].getFieldOrNull(row);
                if (value instanceof TimestampData time)
                    timestamp(out, time);
                else if (value instanceof StringData text)
                    quote(out, text.toString());
                else if (value != null)
                    out.append(value);
            }
            return out.append('\n').toString();
        }

        /** As PostgreSQL writes it: a fraction of the second without trailing zeros. */
        private static void timestamp(StringBuilder out, TimestampData time) {
            String text = time.toLocalDateTime().format(TIMESTAMP);
            int end = text.length();
            while (text.charAt(end - 1) == '0')
                end--;
            out.append(text, 0, text.charAt(end - 1) == '.' ? end - 1 : end);
        }

        private static void quote(StringBuilder out, String text) {
            boolean plain = !text.isEmpty() && text.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r');
            if (plain)
                out.append(text);
            else
                out.append('"').append(text.replace("\"", "\"\"")).append('"');
        }

        @Override
        public void flush(boolean endOfInput) throws IOException {
            if (!endOfInput)
                return;
            Meter.stop();
            synchronized (rows) {
                try (BufferedWriter out = Files.newBufferedWriter(file)) {
                    for (Map.Entry<String, Long> row : rows.entrySet()) {
                        for (long i = 0; i < row.getValue(); i++)
                            out.write(row.getKey());
                    }
                }
            }
        }

        @Override
        public void close() {
        }
    }
}
