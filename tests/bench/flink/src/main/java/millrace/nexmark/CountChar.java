package millrace.nexmark;

import org.apache.flink.table.functions.ScalarFunction;

/** count_char(text, char): how often the character is in the text, as in the suite of Flink. */
public final class CountChar extends ScalarFunction {
    public long eval(String text, String character) {
        long count = 0;
        if (text != null) {
            for (int i = 0; i < text.length(); i++) {
                if (text.charAt(i) == character.charAt(0))
                    count++;
            }
        }
        return count;
    }
}
