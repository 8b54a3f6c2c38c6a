package millrace.nexmark;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Keeps the sources of one job together in event time, as one stream of all events would: none is more than SLACK events
 * ahead of the slowest. Without it the few persons and auctions would all be there long before their bids.
 */
final class Pace {
    static final long SLACK = 20000;

    static final class Runner {
        private long event;
        private CompletableFuture<Void> waiting;
    }

    private static final List<Runner> runners = new ArrayList<>();

    private Pace() {
    }

    static synchronized Runner join() {
        Runner runner = new Runner();
        runners.add(runner);
        return runner;
    }

    static synchronized void leave(Runner runner) {
        runners.remove(runner);
        wake();
    }

    /** The runner's next event is `event`: null when it may go on, else what completes when it may. */
    static synchronized CompletableFuture<Void> at(Runner runner, long event) {
        runner.event = event;
        wake();
        if (event <= slowest() + SLACK)
            return null;
        runner.waiting = new CompletableFuture<>();
        return runner.waiting;
    }

    private static long slowest() {
        long least = Long.MAX_VALUE - SLACK;
        for (Runner runner : runners)
            least = Math.min(least, runner.event);
        return least;
    }

    private static void wake() {
        long until = slowest() + SLACK;
        for (Runner runner : runners) {
            if (runner.waiting != null && runner.event <= until) {
                runner.waiting.complete(null);
                runner.waiting = null;
            }
        }
    }
}
