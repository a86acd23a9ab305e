#!/usr/bin/env python3
"""Builds and runs the benchmarks and prints one table: each figure beside its floor, measured in the same run.

A benchmark is a program `bench_<part>` that prints, for each row, one line `BENCH {json}` with the members
what, p50, unit, floor (a number of the same unit, or null), floor_name, target (text) and target_met (true, false
or null). Programs run one after the other, `--repeat` times; the table shows medians. Machines are noisy:
compare ratios, and look at the load that is printed with them.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

PARTS = ("audit", "policy", "sandbox", "gate", "engine", "log", "grpc")
TIMEOUT_S = 600  # a million entries; more take longer
# What a part is made of, where that is more than the program of its name.
PROGRAMS = {"audit": ("audit", "log")}

# Other runtimes, below the folder that INTERLOCK_AGENT_PEERS names: (folder, script, arguments, runs at 32 in flight). A
# script takes --base, --conc and --runs, has ten model calls a run, and prints a line of JSON with peer and
# cpu_us_per_step.
AGENT_PEERS = (
    ("openai-sdk", "openai-sdk.mjs", (), 320),
    ("vercel-ai", "vercel-ai.mjs", (), 128),
    ("openai-agents", "openai-agents.mjs", (), 96),
    ("openai-agents", "openai-agents.mjs", ("--persist", "state"), 64),
    ("langgraph", "langgraph.mjs", (), 96),
    ("langgraph", "langgraph.mjs", ("--persist", "sqlite-file"), 64),
)
LANGGRAPH_TIMES = 20  # what it costs with its log on disk, at least, of what we cost
# The bare loop that others wrote, in the same folder: it takes runs in flight, runs, model calls a run and a port of
# 127.0.0.1, and prints as a script does. Of each (in flight, runs), what of it ours may cost.
BARE_LOOP = "curl_floor"
BARE_LOOPS = ((1, 300, 4.5), (32, 1500, 2.5), (256, 3000, 2))


def cpu_name() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def targets(build: pathlib.Path) -> set[str]:
    listed = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], check=True, capture_output=True, text=True)
    return {line.split(":")[0] for line in listed.stdout.splitlines()}


def rows_of(*command: str | pathlib.Path, timeout_s: int = TIMEOUT_S) -> list[dict]:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=timeout_s)
    return [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("BENCH ")]


def median_rows(runs: list[list[dict]]) -> list[dict]:
    """Row by row over the runs: the median figure, the median ratio, and met only if most runs met it."""
    rows = []
    for same in zip(*runs, strict=True):
        row = dict(same[0])
        row["p50"] = statistics.median(r["p50"] for r in same)
        if "p99" in row:
            row["p99"] = statistics.median(r["p99"] for r in same)
        floors = [r["floor"] for r in same]
        row["ratio"] = None
        if None not in floors:
            row["floor"] = statistics.median(floors)
            row["ratio"] = statistics.median(r["p50"] / r["floor"] for r in same if r["floor"])
        met = [r["target_met"] for r in same]
        row["target_met"] = None if None in met else sum(met) * 2 > len(met)
        rows.append(row)
    return rows


def program_of(name: str, build: pathlib.Path) -> pathlib.Path:
    (program,) = [path for path in build.rglob(f"bench_{name}") if path.is_file() and os.access(path, os.X_OK)]
    return program


def program_rows(name: str, options: argparse.Namespace) -> list[dict]:
    program = program_of(name, options.build)
    if name != "log":
        return rows_of(program)
    timeout_s = TIMEOUT_S * max(1, options.entries // 1_000_000)
    return rows_of(program, "--entries", str(options.entries), timeout_s=timeout_s)


def our_step(ours: list[dict], in_flight: int) -> float:
    (cpu_us,) = [row["p50"] for row in ours if row["what"] == f"agent's step, CPU, {in_flight} in flight"]
    return cpu_us


def bare_loop_rows(program: pathlib.Path, base: str, ours: list[dict]) -> list[dict]:
    port = str(urllib.parse.urlsplit(base).port)
    rows = []
    for in_flight, runs, times in BARE_LOOPS:
        done = subprocess.run([program, str(in_flight), str(runs), "10", port], check=True, stdout=subprocess.PIPE,
                              text=True, timeout=TIMEOUT_S)
        line = json.loads(done.stdout.splitlines()[-1])
        cpu_us = our_step(ours, in_flight)
        rows.append({"what": f"agent's step, CPU, {in_flight} in flight, beside others' bare loop", "p50": cpu_us,
                     "unit": "us", "floor": line["cpu_us_per_step"], "floor_name": line["peer"],
                     "target": f"<= {times} x the floor",
                     "target_met": cpu_us <= times * line["cpu_us_per_step"]})
    return rows


def agent_peer_rows(build: pathlib.Path, ours: list[dict]) -> list[dict]:
    if "INTERLOCK_AGENT_PEERS" not in os.environ:
        print("to see other runtimes beside it: INTERLOCK_AGENT_PEERS, a folder with "
              + ", ".join(sorted({peer[0] for peer in AGENT_PEERS})), file=sys.stderr)
        return []
    folder = pathlib.Path(os.environ["INTERLOCK_AGENT_PEERS"])
    program = program_of("engine", build)
    cpu_us = our_step(ours, 32)
    quiet = {"NODE_ENV": "production", "OPENAI_AGENTS_DISABLE_TRACING": "1", "LANGSMITH_TRACING": "false"}
    rows = []
    with subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        base = server.stdout.readline().strip()
        if (folder / BARE_LOOP).is_file():
            rows += bare_loop_rows(folder / BARE_LOOP, base, ours)
        else:
            print(f"to see the bare loop that others wrote beside ours: {folder / BARE_LOOP}", file=sys.stderr)
        for name, script, arguments, runs in AGENT_PEERS:
            done = subprocess.run(["node", "--expose-gc", script, "--base", base, "--conc", "32", "--runs", str(runs),
                                   *arguments], cwd=folder / name, env=os.environ | quiet, check=True,
                                  stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
            line = json.loads(done.stdout.splitlines()[-1])
            on_disk = name == "langgraph" and bool(arguments)
            rows.append({"what": f"{line['peer']}: step, CPU, 32 in flight", "p50": line["cpu_us_per_step"], "unit": "us",
                         "floor": cpu_us, "floor_name": "ours",
                         "target": f">= {LANGGRAPH_TIMES} x ours" if on_disk else "",
                         "target_met": line["cpu_us_per_step"] >= LANGGRAPH_TIMES * cpu_us if on_disk else None})
        server.stdin.close()
    return rows


def over_http2_rows(build: pathlib.Path) -> list[dict]:
    """The runs that wait for a model over TLS, where its server speaks HTTP/2."""
    if shutil.which("node") is None:
        print("to see runs that wait over HTTP/2: node", file=sys.stderr)
        return []
    program = program_of("engine", build)
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
        subprocess.run([program, "--certificate", certificate, key], check=True)
        script = pathlib.Path(__file__).with_name("model_server.mjs")
        with subprocess.Popen(["node", script, certificate, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as server:
            base = server.stdout.readline().strip()
            rows = rows_of(program, f"{folder}/data", "--waiting", "--at", base, certificate)
            server.stdin.close()
    return rows


def peer_rows(part: str, build: pathlib.Path, ours: list[dict]) -> list[dict]:
    """What others cost on the same work, if they are installed; says how where they are not."""
    if part == "engine":
        return over_http2_rows(build) + agent_peer_rows(build, ours)
    if part != "policy":
        return []
    folder = build.parent / "peers"
    if not (folder / "node_modules/@cedar-policy/cedar-wasm").is_dir():
        print(f"to see Cedar beside it: npm install --prefix {folder} @cedar-policy/cedar-wasm", file=sys.stderr)
        return []
    return rows_of("node", "policies/bench/cedar.mjs", folder)


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def print_table(rows: list[dict]) -> None:
    head = ("what", "figure", "p99", "unit", "floor", "ratio", "target", "")
    lines = [head]
    for row in rows:
        met = {True: "met", False: "MISSED", None: ""}[row["target_met"]]
        floor = f"{number(row['floor'])} ({row['floor_name']})" if row["floor"] is not None else ""
        lines.append((row["what"], number(row["p50"]), number(row.get("p99")), row["unit"], floor,
                      f"{row['ratio']:.2f}" if row["ratio"] else "", row["target"], met))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all that exist")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the log that `audit` and `log` look at")
    parser.add_argument("--json", action="store_true", help="also print the rows as JSON, for keeping")
    options = parser.parse_args()

    known = targets(options.build)
    parts = [part for part in options.part or PARTS if f"bench_{part}" in known]
    for part in set(options.part) - set(parts):
        print(f"there is no benchmark `{part}` in this tree", file=sys.stderr)
    if not parts:
        return 2
    names = list(dict.fromkeys(name for part in parts for name in PROGRAMS.get(part, (part,))))
    # The log's runs the verifier.
    wanted = [f"bench_{name}" for name in names] + (["interlock"] if "log" in names else [])
    subprocess.run(["cmake", "--build", options.build, "--target", *wanted], check=True, stdout=subprocess.DEVNULL)
    print(f"{cpu_name()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f} at the start")
    rows = []
    for name in names:
        rows += median_rows([ours + peer_rows(name, options.build, ours)
                             for ours in (program_rows(name, options) for _ in range(options.repeat))])
    print_table(rows)
    print(f"load {os.getloadavg()[0]:.2f} at the end; medians of {options.repeat}")
    if options.json:
        print(json.dumps(rows))
    return 1 if any(row["target_met"] is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
