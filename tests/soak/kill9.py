#!/usr/bin/env python3
"""kill -9 of the daemon at random moments while refund runs are in flight; afterwards nothing is lost or doubled.

    kill9.py --bin build/dev/bin [--kills 200] [--runs 50] [--seed N] [--keep DIR]

Runs make four refunds each with slow tools of three kinds: one that may be repeated with its key, one that can be looked
up, one that can be neither; every other run has an agent that it calls make them. After every kill the daemon is started
again and the script counts, from the log, the intents that the kill left open. At the end each run has ended or waits for
a person; the script is that person and tells what the shop says. Then: each refund is in the shop exactly as often as the
log says (once or never), nothing was done twice, every call of an agent started one run and has its end, the log verifies,
and the budget is the sum of settled money. The last line is `N passed, N failed`.
"""
import argparse
import collections
import json
import pathlib
import random
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from daemon import Daemon, in_folder, interlock_client  # noqa: E402  (the path above comes first)

STUBS = interlock_client.STUBS
Run = STUBS.run.Run
Call = STUBS.call.Call
FINAL = {Run.STATE_COMPLETED, Run.STATE_FAILED, Run.STATE_CANCELLED, Run.STATE_ESCALATED,
         Run.STATE_UNCOMPENSATED}
KINDS = ("idempotent", "reconciled", "blind")
REFUNDS_PER_RUN = 4
AMOUNT_MINOR = 1250
PAUSE_MS_MAX = 900
SETTLE_SECONDS = 300
BOXES_DIE_SECONDS = 30  # killed at once; a machine with other work takes its time to bury them
NO_REFUNDS = {"refunds.find", "agent.soak"}
MONEY_MOVED = {"ok", "reconciled_done"}
OPEN_ENDS = {"unknown"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--runs", type=int, default=50, help="in flight at any time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=pathlib.Path, help="leave everything in this folder")
    return parser.parse_args()


class LogReader:
    """Follows the log by gRPC, and knows for each call its newest intent and whether that has an outcome."""

    def __init__(self):
        self.next_index = 0
        self.intents = {}    # call -> attempt of its newest intent
        self.starts = {}     # call of an agent -> the run that it started
        self.below = collections.Counter()  # run.started by the call that it names
        self.ended = set()   # runs
        self.outcomes = {}   # call -> kind of its newest outcome, or "resolved_done" / "resolved_not_done"
        self.tools = {}      # call -> tool
        self.attempts = collections.Counter()
        self.budget = collections.Counter()
        self.open_at_recovery = []

    def read(self, client):
        for entry in client.entries(start=self.next_index):
            self.next_index = entry.index + 1
            envelope = json.loads(entry.entry_json)
            self._apply(entry.kind, envelope.get("run", ""), envelope["body"])

    def open_calls(self):
        """Without those of agents that are at work: they end when these do."""
        return [call for call in self.intents if call not in self.outcomes
                and (call not in self.starts or self.starts[call] in self.ended)]

    def unknown_calls(self):
        return [call for call, outcome in self.outcomes.items() if outcome in OPEN_ENDS]

    def _apply(self, kind, run, body):
        call = body.get("call")
        if kind == "recovery":
            self.open_at_recovery.append((len(self.open_calls()), int(body["open_intents"])))
        elif kind == "call.intended":
            self.intents[call] = body["attempt"]
            self.tools[call] = body["tool"]
            if "starts" in body:
                self.starts[call] = body["starts"]
            self.attempts[call] += 1
            self.outcomes.pop(call, None)
        elif kind == "call.outcome":
            self.outcomes[call] = body["kind"]
        elif kind == "call.resolved" and body["complete"]:
            self.outcomes[call] = "resolved_done" if body["happened"] else "resolved_not_done"
        elif kind == "run.started" and "lineage" in body:
            self.below[body["lineage"]["call"]] += 1
        elif kind in ("run.completed", "run.failed", "run.cancelled", "run.escalated"):
            self.ended.add(run)
        elif kind in ("budget.held", "budget.settled", "budget.released"):
            self.budget[kind] += int(body["amount"])


class Shop:
    def __init__(self, bin_dir, folder):
        folder.mkdir()
        self.path = folder / "shop.db"
        subprocess.run([bin_dir / "soak-tools", "init", self.path], check=True)

    def rows(self, sql):
        # Opened for writing, so that what a killed tool left half done is rolled back first.
        with sqlite3.connect(self.path, timeout=30) as shop:
            return shop.execute(sql).fetchall()

    def refunds_by_call(self):
        return collections.Counter(dict(self.rows("SELECT call_id, count(*) FROM refunds GROUP BY call_id")))

    def most_refunds_of_an_order(self):
        return max((count for count, in self.rows("SELECT count(*) FROM refunds GROUP BY order_id")), default=0)

    def attempts_of_kind(self, kind):
        return dict(self.rows(f"SELECT call_id, count(*) FROM attempts WHERE kind = '{kind}' GROUP BY call_id"))


class Soak:
    def __init__(self, options, folder):
        self.options = options
        self.random = random.Random(options.seed)
        self.shop = Shop(options.bin.resolve(), folder / "shop")
        parts = {part: HERE / part for part in ("policies", "tools", "agents", "scripts")}
        self.daemon = Daemon(folder, options.bin, parts, {"shop_dir": str(folder / "shop")}, boxes_max=96)
        self.log = LogReader()
        self.runs = {}           # name -> newest state
        self.below = {}          # those that agents of these have started
        self.made = 0
        self.kills_with_open_intents = 0
        self.leftovers = 0
        self.resolved = 0        # calls that waited by name for a person
        self.named = True        # every run that waited for a person had a call that says for what
        self.checks = []

    # ------------------------------------------------------------ runs

    def _session(self):
        session = {"script": KINDS[self.made % len(KINDS)], "amount": AMOUNT_MINOR}
        for number in range(1, REFUNDS_PER_RUN + 1):
            session[f"order{number}"] = f"o-{self.made * REFUNDS_PER_RUN + number}"
            session[f"before{number}"] = self.random.randint(20, PAUSE_MS_MAX)
            session[f"after{number}"] = self.random.randint(20, PAUSE_MS_MAX)
        return json.dumps(session)

    def top_up(self):
        """Starts runs until so many are in flight again; those that wait for a person are not."""
        client = self.daemon.client("ticketing")
        in_flight = sum(state == Run.STATE_RUNNING for state in self._states().values())
        for _ in range(self.options.runs - in_flight):
            session = self._session()
            self.made += 1
            agent = "lead" if self.made % 2 else "soak"
            run = client.create_run(agent, "Refund what the session names.", f"u-{self.made}", session)
            self.runs[run.name] = run.state
        client.close()

    def _states(self):
        return {**self.runs, **self.below}

    def refresh(self):
        """Reads how every run stands."""
        client = self.daemon.client("auditor")
        request = STUBS.run.ListRunsRequest(parent=client.parent, page_size=1000)
        for run in client.pages(client.runs.ListRuns, request, "runs"):
            (self.below if run.parent_run else self.runs)[run.name] = run.state
        client.close()

    # ------------------------------------------------------------ kills

    def kill_once(self, number):
        time.sleep(self.random.uniform(0.05, 1.2))
        self.daemon.kill()
        self.leftovers += self._boxes_that_outlive_it()
        seconds = self.daemon.start()
        client = self.daemon.client("auditor")
        self.log.read(client)
        client.close()
        found = self.log.open_at_recovery[-1][0]
        self.kills_with_open_intents += found > 0
        print(f"kill {number:3}: {found:3} open intents, serving again after {seconds:.2f} s", flush=True)

    def _boxes_that_outlive_it(self):
        deadline = time.monotonic() + BOXES_DIE_SECONDS
        while (alive := self.daemon.leftover_boxes("soak-tools")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(alive)

    # ------------------------------------------------------------ the end

    def settle(self):
        """Waits until no run is on its way, being the person whom some of them wait for."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            self.refresh()
            states = self._states()
            waiting = [name for name, state in states.items() if state == Run.STATE_WAITING_FOR_PERSON]
            still = FINAL | {Run.STATE_WAITING_FOR_PERSON, Run.STATE_WAITING_FOR_RUN}
            if all(state in FINAL for state in states.values()):
                return True
            if waiting and all(state in still for state in states.values()):
                self.resolve_unknown(set(waiting))
            time.sleep(0.2)
        return False

    def resolve_unknown(self, waiting):
        """Tells what the shop says about each call that nobody knows the end of; for money it takes two."""
        operators = [self.daemon.client(name) for name in ("operator", "operator2")]
        done = self.shop.refunds_by_call()
        request = STUBS.call.ListCallsRequest(
            parent=operators[0].parent, page_size=1000, state=Call.STATE_UNKNOWN)
        calls = list(operators[0].pages(operators[0].calls.ListCalls, request, "calls"))
        self.named = self.named and {call.run for call in calls} == waiting
        self.resolved += len(calls)
        for call in calls:
            finding = STUBS.call.ResolveCallRequest
            happened = done[call.name.rsplit("/", 1)[1]] > 0
            for operator in operators:
                operator.call(operator.calls.ResolveCall, STUBS.call.ResolveCallRequest(
                    name=call.name, reason="looked into the shop", request_id=interlock_client.new_id(),
                    finding=finding.FINDING_HAPPENED if happened else finding.FINDING_NOT_HAPPENED))
        for operator in operators:
            operator.close()

    # ------------------------------------------------------------ what must be so

    def check(self, claim, good, detail=""):
        self.checks.append(bool(good))
        print(f"{'ok  ' if good else 'FAIL'} {claim}{': ' + str(detail) if detail else ''}", flush=True)

    def check_everything(self, settled):
        client = self.daemon.client("auditor")
        self.log.read(client)
        budgets = list(client.pages(client.budgets.ListBudgets, STUBS.budget.ListBudgetsRequest(parent=client.parent),
                                    "budgets"))
        client.close()
        self.refresh()
        self._check_runs(settled)
        self._check_shop()
        self._check_money(budgets)
        self.daemon.stop()
        status, output = self.daemon.run_cli("audit", "verify", self.daemon.data)
        self.check("the log verifies", status == 0, output.strip().partition("\n")[0])

    def _check_runs(self, settled):
        states = collections.Counter(Run.State.Name(state) for state in self.runs.values())
        completed = states["STATE_COMPLETED"]
        self.check("every run ended", settled and completed == self.made == len(self.runs), dict(states))
        self.check("what waited for a person waited by name", self.named, f"{self.resolved} calls resolved")
        self.check("every call has an outcome", not self.log.open_calls() and not self.log.unknown_calls())
        below = collections.Counter(Run.State.Name(state) for state in self.below.values())
        self.check("every call of an agent started one run, and has its end",
                   set(self.log.below) == set(self.log.starts) and set(self.log.below.values()) <= {1}
                   and below["STATE_COMPLETED"] == len(self.below) == len(self.log.starts)
                   and all(self.log.outcomes[call] == "ok" for call in self.log.starts), dict(below))
        kills = self.options.kills
        self.check("at least half of the kills left open intents", self.kills_with_open_intents * 2 >= kills,
                   f"{self.kills_with_open_intents} of {kills}")
        self.check("the daemon counts the same open intents",
                   all(seen == said for seen, said in self.log.open_at_recovery))
        self.check("no box outlived its daemon", self.leftovers == 0, self.leftovers)

    def _check_shop(self):
        done = self.shop.refunds_by_call()
        moved = {call for call, outcome in self.log.outcomes.items()
                 if self.log.tools[call] not in NO_REFUNDS and outcome in MONEY_MOVED | {"resolved_done"}}
        outcomes = collections.Counter(self.log.outcomes.values())
        self.check("no call refunded twice", all(count == 1 for count in done.values()), f"{len(done)} refunds")
        self.check("no order was refunded twice", self.shop.most_refunds_of_an_order() == 1)
        self.check("the shop holds what the log says, and nothing else", set(done) == moved, dict(outcomes))
        blind = self.shop.attempts_of_kind("blind")
        self.check("a tool that can be neither repeated nor looked up ran once",
                   all(count == 1 for count in blind.values()), f"{len(blind)} calls")
        started = self.shop.rows("SELECT DISTINCT call_id FROM attempts")
        self.check("nothing ran without an intent", all(call in self.log.intents for call, in started))

    def _check_money(self, budgets):
        spent = len(self.shop.rows("SELECT 1 FROM refunds")) * AMOUNT_MINOR
        self.check("the budget is the money that moved",
                   len(budgets) == 1 and budgets[0].settled_amount == spent and budgets[0].held_amount == 0,
                   [(budget.settled_amount, budget.held_amount) for budget in budgets])
        held = self.log.budget["budget.held"]
        given_back = self.log.budget["budget.settled"] + self.log.budget["budget.released"]
        self.check("every hold was settled or released", held == given_back, dict(self.log.budget))

    def run(self):
        with self.daemon:
            return self._run()

    def _run(self):
        self.daemon.start()
        self.top_up()
        for number in range(1, self.options.kills + 1):
            self.kill_once(number)
            self.refresh()
            self.top_up()
        settled = self.settle()
        print(f"{self.made} runs, {sum(self.log.attempts.values())} intents", flush=True)
        self.check_everything(settled)
        failed = self.checks.count(False)
        print(f"{len(self.checks) - failed} passed, {failed} failed")
        return 1 if failed else 0


def main():
    options = parse()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {options.seed}", flush=True)
    return in_folder(options.keep, lambda folder: Soak(options, folder).run())


if __name__ == "__main__":
    sys.exit(main())
