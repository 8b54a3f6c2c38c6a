package millrace.nexmark;

import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** Connectors 'nexmark' (person, auction, bid) and 'side-input' (the table of q13, by key). */
public final class NexmarkTables {
    private static final ConfigOption<Nexmark.Kind> RELATION =
            ConfigOptions.key("relation").enumType(Nexmark.Kind.class).noDefaultValue();
    private static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();
    private static final ConfigOption<Long> MEASURED_FROM = ConfigOptions.key("measured_from").longType().defaultValue(0L);
    private static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().defaultValue(1L);
    private static final ConfigOption<Long> EVENT_RATE = ConfigOptions.key("event_rate").longType().defaultValue(10000L);
    private static final ConfigOption<String> START =
            ConfigOptions.key("start").stringType().defaultValue("2026-01-01 00:00:00");
    private static final ConfigOption<Long> ROWS = ConfigOptions.key("rows").longType().defaultValue(10000L);

    private NexmarkTables() {
    }

    public static final class StreamFactory implements DynamicTableSourceFactory {
        @Override
        public String factoryIdentifier() {
            return "nexmark";
        }

        @Override
        public Set<ConfigOption<?>> requiredOptions() {
            return Set.of(RELATION, EVENTS);
        }

        @Override
        public Set<ConfigOption<?>> optionalOptions() {
            return Set.of(SEED, EVENT_RATE, START, MEASURED_FROM);
        }

        @Override
        public DynamicTableSource createDynamicTableSource(Context context) {
            FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
            helper.validate();
            LocalDateTime start = LocalDateTime.parse(helper.getOptions().get(START).replace(' ', 'T'));
            return new Stream(new NexmarkSource(helper.getOptions().get(SEED),
                    start.toEpochSecond(ZoneOffset.UTC) * 1000000L + start.getNano() / 1000,
                    helper.getOptions().get(EVENT_RATE), helper.getOptions().get(RELATION), helper.getOptions().get(EVENTS),
                    helper.getOptions().get(MEASURED_FROM)));
        }
    }

    private record Stream(NexmarkSource source) implements ScanTableSource {
        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return SourceProvider.of(source);
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "nexmark";
        }
    }

    public static final class SideFactory implements DynamicTableSourceFactory {
        @Override
        public String factoryIdentifier() {
            return "side-input";
        }

        @Override
        public Set<ConfigOption<?>> requiredOptions() {
            return Set.of();
        }

        @Override
        public Set<ConfigOption<?>> optionalOptions() {
            return Set.of(ROWS);
        }

        @Override
        public DynamicTableSource createDynamicTableSource(Context context) {
            FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
            helper.validate();
            return new Side(helper.getOptions().get(ROWS));
        }
    }

    private record Side(long rows) implements LookupTableSource {
        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            return LookupFunctionProvider.of(new Lookup(rows));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "side-input";
        }
    }

    /** Key k has value 'k' as text, k from 0 to rows - 1; kept in memory, as Flink keeps a file that it looks things up in. */
    public static final class Lookup extends LookupFunction {
        private final long rows;
        private transient Map<Long, List<RowData>> table;

        Lookup(long rows) {
            this.rows = rows;
        }

        @Override
        public void open(FunctionContext context) {
            table = new HashMap<>();
            for (long key = 0; key < rows; key++)
                table.put(key, List.of(GenericRowData.of(key, StringData.fromString(Long.toString(key)))));
        }

        @Override
        public Collection<RowData> lookup(RowData key) {
            return table.getOrDefault(key.getLong(0), List.of());
        }
    }
}
