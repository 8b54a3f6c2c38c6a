"""worker.py: sessions that work beside what a test looks at."""

import threading

import harness


class Worker(threading.Thread):
    """Runs step() again and again in a session of its own until told to stop; keeps what went wrong."""

    def __init__(self, server, events):
        super().__init__()
        self.server, self.events = server, events
        self.ending = threading.Event()
        self.error = None

    def run(self):
        try:
            with harness.connect_millrace(self.server) as con:
                while not self.ending.is_set():
                    self.step(con)
        except BaseException as error:  # noqa: B902
            self.error = error

    def end(self):
        self.ending.set()
        self.join()
        if self.error is not None:
            raise self.error
