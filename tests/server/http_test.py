"""http_test.py MILLRACE: /health and /metrics on the HTTP port, which tell what happened; other paths and methods are refused."""

import os
import re
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402


def main():
    port = harness.free_port()
    with harness.millrace(sys.argv[1], "--http-port", str(port)) as server, harness.connect_millrace(server) as con:
        def get(path, data=None):
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), data=data, timeout=10) as r:
                    return r.status, r.read().decode()
            except urllib.error.HTTPError as e:
                return e.code, e.read().decode()

        assert get("/health") == (200, "ok\n")
        assert get("/nope")[0] == 404
        assert get("/metrics", b"x")[0] == 405
        con.execute("CREATE TABLE t (a int)")
        con.execute("CREATE MATERIALIZED VIEW v AS SELECT a, count(*) FROM t GROUP BY a")
        con.execute("INSERT INTO t VALUES (1), (1), (2)")
        status, text = get("/metrics")
        values = dict(re.findall(r"^(millrace_\S+) ([0-9.e+-]+)$", text, re.M))
        assert status == 200 and float(values["millrace_rows_in_total"]) == 3, text
        assert 'millrace_relation_rows{schema="public",name="v"} 2' in text, text
        print("%d metrics" % len(values))


main()
