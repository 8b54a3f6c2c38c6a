package millrace.nexmark;

import java.nio.charset.StandardCharsets;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;

/**
 * Persons, auctions and bids by event number: the same dice, the same rows as protocol/connector/nexmark.c.
 *
 * Event n is a pure function of (seed, n). A row has the columns of the relation in standard order and, last, its
 * time once more in milliseconds: the finest that Flink takes as event time.
 */
final class Nexmark {
    enum Kind {
        PERSON(0, 1, 6),
        AUCTION(1, 3, 5),
        BID(4, 46, 5);

        final int firstOfRound, perRound, timeColumn;

        Kind(int firstOfRound, int perRound, int timeColumn) {
            this.firstOfRound = firstOfRound;
            this.perRound = perRound;
            this.timeColumn = timeColumn;
        }
    }

    static final long EVENTS_PER_ROUND = 50;
    private static final long FIRST_ID = 1000, FIRST_CATEGORY = 10, CATEGORIES = 5, AUCTIONS_IN_FLIGHT = 100,
            ACTIVE_PERSONS = 1000, ID_LEAD = 10, HOT_AUCTION_RATIO = 2, HOT_BIDDER_RATIO = 4, HOT_SELLER_RATIO = 4,
            HOT_BLOCK = 100, CHANNELS = 10000;
    private static final StringData[] CITIES = texts("Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
            "Bend", "Redmond", "Seattle", "Kent", "Cheyenne");
    private static final StringData[] STATES = texts("AZ", "CA", "ID", "OR", "WA", "WY");
    private static final StringData[] HOT_CHANNELS = texts("Google", "Facebook", "Baidu", "Apple");
    private static final byte[][] FIRST_NAMES = bytes("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie",
            "Sarah", "Deiter", "Walter");
    private static final byte[][] LAST_NAMES = bytes("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton",
            "Smith", "Jones", "Noris");
    private static final byte[][] CHANNEL = bytes("channel-");
    private static final byte[][] URL = bytes("https://www.nexmark.com/", "/item.htm?query=1&channel_id=");

    private final long seed, startMicros, eventsPerSecond;
    private final byte[] buffer = new byte[256];
    private long dice;

    Nexmark(long seed, long startMicros, long eventsPerSecond) {
        this.seed = seed;
        this.startMicros = startMicros;
        this.eventsPerSecond = eventsPerSecond;
    }

    private static StringData[] texts(String... words) {
        StringData[] out = new StringData[words.length];
        for (int i = 0; i < words.length; i++)
            out[i] = StringData.fromBytes(words[i].getBytes(StandardCharsets.US_ASCII));
        return out;
    }

    private static byte[][] bytes(String... words) {
        byte[][] out = new byte[words.length][];
        for (int i = 0; i < words.length; i++)
            out[i] = words[i].getBytes(StandardCharsets.US_ASCII);
        return out;
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    private void throwDice(long event) {
        dice = mix(seed + 0x9e3779b97f4a7c15L) ^ mix(event * 0x9e3779b97f4a7c15L + 1);
    }

    private long bits() {
        dice += 0x9e3779b97f4a7c15L;
        return mix(dice);
    }

    private long roll(long sides) {
        return Long.remainderUnsigned(bits(), sides);
    }

    /** How many rows of a kind the first `events` events hold. */
    static long rowsIn(Kind kind, long events) {
        long more = Math.max(events % EVENTS_PER_ROUND - kind.firstOfRound, 0);
        return events / EVENTS_PER_ROUND * kind.perRound + Math.min(more, kind.perRound);
    }

    /** Event number of the row-th row (from 0) of a kind. */
    static long eventOfRow(Kind kind, long row) {
        return row / kind.perRound * EVENTS_PER_ROUND + kind.firstOfRound + row % kind.perRound;
    }

    private static long lastAuction(long event) {
        return Math.max(rowsIn(Kind.AUCTION, event + 1) - 1, 0);
    }

    private static long lastPerson(long event) {
        return rowsIn(Kind.PERSON, event + 1) - 1;
    }

    private long recent(long last, long span) {
        long least = Math.max(last - span, 0);
        return least + roll(last - least + 1 + ID_LEAD);
    }

    private long price() {
        long scale = 1;
        for (long digits = roll(6); digits > 0; digits--)
            scale *= 10;
        return (scale + roll(9 * scale)) * 100;
    }

    /* The writers below put text into the buffer at `at` and return where it ends. */

    private int put(int at, byte[] text) {
        System.arraycopy(text, 0, buffer, at, text.length);
        return at + text.length;
    }

    private int putLetters(int at, int least, int span) {
        int end = at + least + (int) roll(span);
        while (at < end) {
            long word = roll(-1); /* all but one of the 64-bit numbers */
            for (int j = 0; j < 8 && at < end; j++, word >>>= 8)
                buffer[at++] = (byte) ('a' + (int) (word & 0xff) % 26);
        }
        return end;
    }

    private int putNumber(int at, long value) {
        int end = at + 1;
        for (long rest = value / 10; rest > 0; rest /= 10)
            end++;
        for (int i = end - 1; i >= at; i--, value /= 10)
            buffer[i] = (byte) ('0' + value % 10);
        return end;
    }

    private StringData text(int end) {
        byte[] copy = new byte[end];
        System.arraycopy(buffer, 0, copy, 0, end);
        return StringData.fromBytes(copy);
    }

    private StringData letters(int least, int span) {
        return text(putLetters(0, least, span));
    }

    private static TimestampData timestamp(long micros) {
        return TimestampData.fromEpochMillis(Math.floorDiv(micros, 1000L), (int) Math.floorMod(micros, 1000L) * 1000);
    }

    /** The row-th row of a kind, in fresh objects that nobody changes later. */
    GenericRowData row(Kind kind, long row) {
        long event = eventOfRow(kind, row);
        long micros = startMicros + Long.divideUnsigned(event * 1000000L, eventsPerSecond);
        throwDice(event);
        GenericRowData out = kind == Kind.PERSON ? person(event) : kind == Kind.AUCTION ? auction(event, micros) : bid(event);
        out.setField(kind.timeColumn, timestamp(micros));
        out.setField(out.getArity() - 1, TimestampData.fromEpochMillis(Math.floorDiv(micros, 1000L)));
        return out;
    }

    private GenericRowData person(long event) {
        GenericRowData out = new GenericRowData(9);
        int end = put(0, FIRST_NAMES[(int) roll(FIRST_NAMES.length)]);
        buffer[end++] = ' ';
        end = put(end, LAST_NAMES[(int) roll(LAST_NAMES.length)]);
        out.setField(0, FIRST_ID + lastPerson(event));
        out.setField(1, text(end));
        end = putLetters(0, 3, 5);
        buffer[end++] = '@';
        end = putLetters(end, 3, 3);
        buffer[end++] = '.';
        buffer[end++] = 'c';
        buffer[end++] = 'o';
        buffer[end++] = 'm';
        out.setField(2, text(end));
        for (int i = 0; i < 19; i++)
            buffer[i] = i % 5 == 4 ? (byte) ' ' : (byte) ('0' + roll(10));
        out.setField(3, text(19));
        out.setField(4, CITIES[(int) roll(CITIES.length)]);
        out.setField(5, STATES[(int) roll(STATES.length)]);
        out.setField(7, letters(20, 40));
        return out;
    }

    private GenericRowData auction(long event, long micros) {
        GenericRowData out = new GenericRowData(11);
        out.setField(0, FIRST_ID + lastAuction(event));
        out.setField(1, letters(5, 15));
        out.setField(2, letters(20, 60));
        long initial = price();
        out.setField(3, initial);
        out.setField(4, initial + price());
        long eventsOpen = AUCTIONS_IN_FLIGHT * EVENTS_PER_ROUND / Kind.AUCTION.perRound;
        long average = Long.divideUnsigned(eventsOpen * 1000000L, eventsPerSecond) + 1;
        out.setField(6, timestamp(micros + 1 + roll(2 * average)));
        long newest = lastPerson(event);
        long seller = roll(HOT_SELLER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK : recent(newest, ACTIVE_PERSONS);
        out.setField(7, FIRST_ID + seller);
        out.setField(8, FIRST_CATEGORY + roll(CATEGORIES));
        out.setField(9, letters(60, 60));
        return out;
    }

    private GenericRowData bid(long event) {
        GenericRowData out = new GenericRowData(8);
        long newest = lastAuction(event);
        long chosen = roll(HOT_AUCTION_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK : recent(newest, AUCTIONS_IN_FLIGHT);
        out.setField(0, FIRST_ID + chosen);
        newest = lastPerson(event);
        long bidder = roll(HOT_BIDDER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK + 1 : recent(newest, ACTIVE_PERSONS);
        out.setField(1, FIRST_ID + bidder);
        out.setField(2, price());
        long channel = roll(CHANNELS);
        if (roll(2) == 0)
            out.setField(3, HOT_CHANNELS[(int) (channel % HOT_CHANNELS.length)]);
        else
            out.setField(3, text(putNumber(put(0, CHANNEL[0]), channel)));
        int end = put(0, URL[0]);
        for (int i = 0; i < 3; i++) {
            if (i > 0)
                buffer[end++] = '/';
            for (int j = 0; j < 4; j++)
                buffer[end++] = (byte) ('a' + Long.remainderUnsigned(mix(channel * 16 + i * 4 + j), 26));
        }
        out.setField(4, text(putNumber(put(end, URL[1]), channel)));
        out.setField(6, letters(10, 20));
        return out;
    }
}
