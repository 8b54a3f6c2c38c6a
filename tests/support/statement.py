"""statement.py: a statement that runs beside others."""

import threading

import harness
import psycopg


class Statement(threading.Thread):
    """One statement in a session of its own."""

    def __init__(self, server, sql):
        super().__init__()
        self.con = harness.connect_millrace(server)
        self.sql, self.error = sql, None
        self.start()

    def run(self):
        try:
            with self.con:
                self.con.execute(self.sql)
        except psycopg.Error as error:
            self.error = error

    def wait(self):
        self.join()
        if self.error is not None:
            raise self.error

    @property
    def done(self):
        return not self.is_alive() and self.error is None
