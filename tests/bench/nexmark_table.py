"""nexmark_table.py FILE [FILE ...]: the results of ./dev bench nexmark --json as a table in Markdown; several files side by side."""

import json
import sys


def number(value):
    """Three significant digits, in thousands or millions; 0: too little was measured."""
    if value == 0:
        return "-"
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return "%.*f%s" % (2 if value < 10 * unit else 1 if value < 100 * unit else 0, value / unit, name)
    return "%.0f" % value


def megabytes(value):
    return "%.1f" % (value / 1e6) if value < 1e7 else "%.0f" % (value / 1e6)


def flink_of(report):
    """name -> Flink's result of a query."""
    peer = report.get("flink", {})
    results = peer.get("results", peer.get("queries", {})) if isinstance(peer, dict) else peer
    return results if isinstance(results, dict) else {result["query"]: result for result in results}


def ratio(ours, theirs):
    return "%.1fx" % (ours / theirs) if theirs else ""


def columns_of(report, earlier=None):
    """(heading, name of query -> text), in order."""
    results = report["queries"]
    columns = [
        ("events", lambda name: number(results[name]["events"])),
        ("events/s", lambda name: number(results[name]["events_per_wall_s"])),
        ("events/CPU-s", lambda name: number(results[name]["events_per_cpu_s"])),
    ]
    if earlier is not None:
        before = earlier["queries"]

        def against(name):
            return "%.2fx" % (results[name]["events_per_cpu_s"] / before[name]["events_per_cpu_s"]) if name in before else ""
        columns.append(("to before", against))
    columns += [
        ("peak MB", lambda name: megabytes(results[name]["peak_rss_bytes"])),
        ("state MB", lambda name: megabytes(results[name]["state_bytes"])),
        ("rows", lambda name: str(results[name]["result_rows"])),
    ]
    if any("equal" in result for result in results.values()):
        columns.append(("equal", lambda name: {True: "yes", False: "NO", None: ""}[results[name].get("equal")]))
    flink = flink_of(report)
    if flink:
        def theirs(name, key):
            return flink.get(name, {}).get(key)
        columns += [
            ("Flink events/s", lambda name: number(theirs(name, "events_per_wall_s")) if theirs(name, "events_per_wall_s") else "-"),
            ("Flink events/CPU-s",
             lambda name: number(theirs(name, "events_per_cpu_s")) if theirs(name, "events_per_cpu_s") else "-"),
            ("Flink peak MB", lambda name: megabytes(theirs(name, "peak_rss_bytes")) if theirs(name, "peak_rss_bytes") else "-"),
            ("ratio", lambda name: ratio(results[name]["events_per_cpu_s"], theirs(name, "events_per_cpu_s"))),
        ]
    return columns


def settings_of(report):
    """What has to stand beside the figures."""
    machine, settings = report["machine"], report["settings"]
    lines = ["commit %s, %s" % (report["commit"], report["time"]),
             "%s, %d cores, %.0f GB, Linux %s" % (machine["cpu"], machine["cores"], machine["memory_bytes"] / 1e9, machine["kernel"]),
             ", ".join("%s %s" % (name, json.dumps(value) if isinstance(value, (list, bool)) else value)
                       for name, value in settings.items() if value != [])]
    for name, result in report["queries"].items():
        if "note" in result:
            lines.append("%s: %s" % (name, result["note"]))
    said = set()
    for name, result in flink_of(report).items():
        if "unsupported" in result:
            lines.append("Flink refuses %s: %s" % (name, result["unsupported"][:200]))
        about = "Flink %s, Java %s %s, state %s, parallelism %s: %s" % (
            result.get("flink_version"), result.get("java_version"), result.get("java_options", ""), result.get("backend"),
            result.get("parallelism"), ", ".join("%s=%s" % item for item in result.get("settings", {}).items()))
        if about not in said:
            said.add(about)
            lines.append(about)
    return lines


def print_table(report, earlier=None):
    """For reading in a terminal."""
    columns = columns_of(report, earlier)
    rows = [["query"] + [heading for heading, _ in columns]]
    rows += [[name] + [text(name) for _, text in columns] for name in report["queries"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]))
    print("\n".join(settings_of(report)))


def print_markdown(reports):
    names = sorted({name for report in reports for name in report["queries"]}, key=lambda name: int(name[1:]))
    headings, cells = [], {name: [] for name in names}
    for report in reports:
        suffix = "" if len(reports) == 1 else " (%d workers)" % report["settings"]["workers"]
        for heading, text in columns_of(report):
            headings.append(heading + suffix)
            for name in names:
                cells[name].append(text(name) if name in report["queries"] else "")
    print("| query | " + " | ".join(headings) + " |")
    print("|---|" + "--:|" * len(headings))
    for name in names:
        print("| %s | %s |" % (name, " | ".join(cells[name])))
    for report in reports:
        print()
        print("\n".join("* " + line for line in settings_of(report)))


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    reports = []
    for path in sys.argv[1:]:
        with open(path) as f:
            reports.append(json.load(f))
    print_markdown(reports)


if __name__ == "__main__":
    main()
