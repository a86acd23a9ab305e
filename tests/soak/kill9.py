#!/usr/bin/env python3
"""kill -9 of the daemon at random moments while runs of every kind are in flight; afterwards nothing is lost or doubled.

    kill9.py --bin build/dev/bin [--kills 200] [--runs 50] [--seed N] [--keep DIR]

Refunds are made with slow tools of three kinds: one that may be repeated with its key, one that can be looked up, one that
can be neither. A quarter of the runs makes four, one after the other; a quarter has an agent that it calls make them. The
others have a model plan for them, whose first provider fails in every way (model.py): several calls at once, an agent that is
called beside them, large refunds that two approvers are asked about, one that was made already, and more than the run may
spend. Approvers, operators and the client that starts runs are at work all the while (people.py), so a kill strikes their
requests too; every tenth kill is followed by one of the daemon that comes up.

At the end each run has ended or waits for a person; the script is that person and tells what the shop says. Then: each
refund is in the shop exactly as often as the log says (once or never), nothing was done twice, large ones were approved by
whom it takes, every call of an agent started one run and has its end, the log verifies, its tables are what a rebuild
makes, budgets are the sum of what was settled and were never overdrawn, and runs replay. The last line is `N passed, N failed`.
"""
import argparse
import collections
import contextlib
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
sys.path.insert(0, str(HERE))
from daemon import Daemon, in_folder, interlock_client  # noqa: E402  (the path above comes first)
from model import FAILS, Models  # noqa: E402
from people import TOO_LATE, Approver, Operator, Ticketing  # noqa: E402

STUBS = interlock_client.STUBS
Run = STUBS.run.Run
Call = STUBS.call.Call
FINAL = {Run.STATE_COMPLETED, Run.STATE_FAILED, Run.STATE_CANCELLED, Run.STATE_ESCALATED,
         Run.STATE_UNCOMPENSATED}
KINDS = ("idempotent", "reconciled", "blind")
ORDERS_PER_RUN = 8
AMOUNT_MINOR = 1250
DEAR_MINOR = 2400     # the last one, and mostly more than is left
LARGE_MINOR = 2500    # from here on one approver is asked, and
LARGEST_MINOR = 4000  # from here on two
REFUSED = 7           # of the orders that are asked about every seventh is refused
PAUSE_MS_MAX = 900
SETTLE_SECONDS = 600
REPLAYS = 40
BOXES_DIE_SECONDS = 30  # killed at once; a machine with other work takes its time to bury them
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
        self.keys = collections.defaultdict(set)  # effect key -> calls that had it
        self.roots = 0       # runs that nobody called
        self.codes = collections.Counter()   # of decisions
        self.unplanned = 0   # plans that ended in an error
        self.parallel = 0    # calls of one run that were at work at once, at most
        self.budgets = Budgets()
        self.approvals = Approvals()
        self.open_at_recovery = []
        self._at_work = collections.defaultdict(set)  # by run

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
        self.budgets.apply(kind, body)
        self.approvals.apply(kind, body)
        if kind == "recovery":
            self.open_at_recovery.append((len(self.open_calls()), int(body["open_intents"])))
        elif kind == "call.decided":
            self.codes[body.get("code", "")] += 1
        elif kind == "plan.received":
            self.unplanned += body["finish"] == "error"
        elif kind == "call.intended":
            self._intended(run, body)
        elif kind == "call.outcome":
            self.outcomes[call] = body["kind"]
            self._at_work[run].discard(call)
        elif kind == "call.resolved" and body["complete"]:
            self.outcomes[call] = "resolved_done" if body["happened"] else "resolved_not_done"
        elif kind == "run.started":
            self.roots += "lineage" not in body
            if "lineage" in body:
                self.below[body["lineage"]["call"]] += 1
        elif kind in ("run.completed", "run.failed", "run.cancelled", "run.escalated"):
            self.ended.add(run)

    def _intended(self, run, body):
        call = body["call"]
        self.intents[call] = body["attempt"]
        self.tools[call] = body["tool"]
        self.attempts[call] += 1
        self.outcomes.pop(call, None)
        self.keys[body["effect_key"]].add(call)
        self._at_work[run].add(call)
        self.parallel = max(self.parallel, len(self._at_work[run]))
        if "starts" in body:
            self.starts[call] = body["starts"]
        if body["attempt"] == 1:
            self.approvals.start(call)

    def moved(self):
        """Refunds that happened, by the log."""
        done = MONEY_MOVED | {"resolved_done"}
        return {call for call, outcome in self.outcomes.items()
                if outcome in done and self.tools[call].startswith("refunds.") and self.tools[call] != "refunds.find"}


class Budgets:
    """The fold of what is held and settled, by budget, scope and window."""

    def __init__(self):
        self.holds = {}
        self.settled = collections.Counter()
        self.held = collections.Counter()
        self.overdrawn = []

    def apply(self, kind, body):
        if not kind.startswith("budget."):
            return
        where = (body["budget"], body["scope"], body["window_us"])
        if kind == "budget.held":
            self.holds[body["hold"]] = int(body["amount"])
            self.held[where] += int(body["amount"])
            if self.held[where] + self.settled[where] > int(body["limit"]):
                self.overdrawn.append(where)
            return
        self.held[where] -= self.holds.pop(body["hold"])  # a hold ends once: else this raises
        if kind == "budget.settled":
            self.settled[where] += int(body["amount"])

    def of(self, name):
        """What is settled and held of this budget, in all its scopes."""
        return tuple(sum(amount for where, amount in sums.items() if where[0] == name)
                     for sums in (self.settled, self.held))


class Approvals:
    """Who granted what, and that it was used once, by the call that it was for."""

    def __init__(self):
        self.of = {}             # approval -> its call
        self.quorum = {}         # approval -> how many it takes
        self.granted = collections.defaultdict(set)  # approval -> by whom
        self.consumed = {}       # approval -> its call
        self.ends = collections.Counter()
        self.wrong = []

    def apply(self, kind, body):
        approval = body.get("approval")
        if not kind.startswith("approval."):
            return
        self.ends[kind] += 1
        if kind == "approval.requested":
            self.of[approval] = body["call"]
            self.quorum[approval] = body["quorum"]
        elif kind == "approval.granted":
            if body["by"] in self.granted[approval]:
                self.wrong.append(f"{approval} was granted twice by {body['by']}")
            self.granted[approval].add(body["by"])
        elif kind == "approval.consumed":
            if approval in self.consumed or len(self.granted[approval]) < self.quorum[approval]:
                self.wrong.append(f"{approval} was used twice, or with too few grants")
            self.consumed[approval] = body["call"]

    def start(self, call):
        """The call got its intent."""
        asked = {approval for approval, of in self.of.items() if of == call}
        if asked and not any(self.consumed.get(approval) == call for approval in asked):
            self.wrong.append(f"{call} began without the approval that it was asked about")


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

    def has(self, call):
        return bool(self.rows(f"SELECT 1 FROM refunds WHERE call_id = '{call}'"))

    def calls_above(self, amount):
        return {call for call, in self.rows(f"SELECT call_id FROM refunds WHERE amount_minor >= {amount}")}

    def attempts_of_kind(self, kind):
        return dict(self.rows(f"SELECT call_id, count(*) FROM attempts WHERE kind = '{kind}' GROUP BY call_id"))


def refuses(args_json):
    return int(json.loads(args_json)["order_id"].removeprefix("o-")) % REFUSED == 0


def tables_of(database):
    """What the log's tables hold, but for how far they were written."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as log:
        names = [name for name, in log.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'p\\_%' "
                                               "ESCAPE '\\' AND name != 'p_watermark' ORDER BY name")]
        return {name: sorted(log.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


@contextlib.contextmanager
def said_before():
    """One of the two operators may have spoken of the call already."""
    try:
        yield
    except interlock_client.grpc.RpcError as error:
        if error.code() not in TOO_LATE:
            raise


class Soak:
    def __init__(self, options, folder, models):
        self.options = options
        self.random = random.Random(options.seed)
        self.shop = Shop(options.bin.resolve(), folder / "shop")
        agents = shutil.copytree(HERE / "agents", folder / "agents")
        shutil.copytree(HERE / "mixed" / "agents", agents, dirs_exist_ok=True)
        parts = {"policies": HERE / "mixed" / "policies", "tools": HERE / "tools", "agents": agents,
                 "scripts": HERE / "scripts"}
        self.models = models
        self.daemon = Daemon(folder, options.bin, parts, {"shop_dir": str(folder / "shop")}, boxes_max=96,
                             planners=self._planners())
        self.ticketing = Ticketing(self.daemon, self._new_run)
        self.approvers = [Approver(self.daemon, name, refuses) for name in ("manager", "director")]
        self.operators = [Operator(self.daemon, name, "refunds.blind", self.shop.has) for name in ("operator", "operator2")]
        self.log = LogReader()
        self.runs = {}           # name -> newest state
        self.below = {}          # those that agents of these have started
        self.waits_for = {}      # by run: those below that it waits for
        self.made = 0
        self.kills_with_open_intents = 0
        self.leftovers = 0
        self.resolved = 0        # calls that waited by name for a person
        self.named = True        # every run that waited for a person had a call that says for what
        self.checks = []

    def _planners(self):
        endpoints = [{"name": name, "kind": "openai", "base_url": f"{self.models.address}/{name}/v1", "model": "any",
                      "output_tokens_max": 256, "timeout_ms": 20000, "retries_max": retries}
                     for name, retries in (("shaky", 0), ("steady", 3))]
        return endpoints + [{"name": "model", "kind": "router", "routes": [{"use": ["shaky", "steady"]}]}]

    # ------------------------------------------------------------ runs

    def _new_run(self):
        """Arguments of create_run; on the thread of `ticketing`."""
        self.made += 1
        orders = [f"o-{self.made * ORDERS_PER_RUN + number}" for number in range(ORDERS_PER_RUN)]
        user = f"u-{self.made}"
        if self.made % 2:
            return "desk", json.dumps(self._desk(orders)), user, "{}"
        session = {"script": KINDS[self.made // 2 % len(KINDS)], "amount": AMOUNT_MINOR}
        for number, order in enumerate(orders[:4], start=1):
            session[f"order{number}"] = order
            session[f"before{number}"] = self._pause()
            session[f"after{number}"] = self._pause()
        return "lead" if self.made % 4 else "soak", "Refund what the session names.", user, json.dumps(session)

    def _pause(self):
        return self.random.randint(20, PAUSE_MS_MAX)

    def _refund(self, order, amount):
        return {"tool": f"refunds.{self.random.choice(KINDS)}",
                "args": {"order_id": order, "amount_minor": amount, "pause_before_ms": self._pause(),
                         "pause_after_ms": self._pause()}}

    def _desk(self, orders):
        """What the model is to do: side by side, below, again, and more than there is money for."""
        small = [self._refund(order, AMOUNT_MINOR) for order in orders[:4]]
        clerk = {"steps": [[small[2], self._refund(orders[5], LARGEST_MINOR)]], "answer": "refunded"}
        first = [small[0], self._refund(orders[6], LARGE_MINOR), small[1],
                 {"tool": "agent.clerk", "args": {"message": json.dumps(clerk)}}]
        again = self._refund(orders[0], AMOUNT_MINOR)
        return {"steps": [first, [small[3], again, self._refund(orders[4], DEAR_MINOR)]], "answer": "all that could be done"}

    def top_up(self):
        """Has runs started until so many are in flight again; those that wait for a person are not, or for one that does."""
        idle = FINAL | {Run.STATE_WAITING_FOR_PERSON}
        in_flight = sum(state not in idle and not any(self.below.get(name) in idle for name in self.waits_for[run])
                        for run, state in self.runs.items())
        self.ticketing.want(max(0, self.options.runs - in_flight))

    def _states(self):
        return {**self.runs, **self.below}

    def refresh(self):
        """Reads how every run stands."""
        client = self.daemon.client("auditor")
        request = STUBS.run.ListRunsRequest(parent=client.parent, page_size=1000)
        for run in client.pages(client.runs.ListRuns, request, "runs"):
            (self.below if run.parent_run else self.runs)[run.name] = run.state
            self.waits_for[run.name] = list(run.waits_for)
        client.close()

    # ------------------------------------------------------------ kills

    def kill_once(self, number):
        time.sleep(self.random.uniform(0.05, 1.2))
        self.daemon.kill()
        self.leftovers += self._boxes_that_outlive_it()
        if number % 10 == 0:  # in the middle of what a start takes up
            self.daemon.start_and_kill(self.random.uniform(0.02, 0.3))
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
            if all(state in FINAL for state in states.values()) and not self.ticketing.waits():
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
                request = STUBS.call.ResolveCallRequest(
                    name=call.name, reason="looked into the shop", request_id=interlock_client.new_id(),
                    finding=finding.FINDING_HAPPENED if happened else finding.FINDING_NOT_HAPPENED)
                with said_before():
                    operator.call(operator.calls.ResolveCall, request)
        for operator in operators:
            operator.close()

    # ------------------------------------------------------------ what must be so

    def check(self, claim, good, detail=""):
        self.checks.append(bool(good))
        print(f"{'ok  ' if good else 'FAIL'} {claim}{': ' + str(detail) if detail else ''}", flush=True)

    def check_everything(self, settled):
        client = self.daemon.client("auditor")
        self.log.read(client)
        every_window = STUBS.budget.ListBudgetsRequest(parent=client.parent, show_past=True)
        budgets = list(client.pages(client.budgets.ListBudgets, every_window, "budgets"))
        client.close()
        self.refresh()
        self._check_runs(settled)
        self._check_people()
        self._check_shop()
        self._check_approvals()
        self._check_money(budgets)
        self._check_mix()
        self.daemon.stop()
        self._check_log()

    def _check_runs(self, settled):
        states = collections.Counter(Run.State.Name(state) for state in self.runs.values())
        self.check("every run ended", settled and states["STATE_COMPLETED"] == len(self.runs), dict(states))
        self.check("what waited for a person waited by name", self.named,
                   f"{self.resolved} calls resolved, {[operator.said for operator in self.operators]} words before")
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

    def _check_people(self):
        started = self.ticketing.started
        self.check("every run that was asked for is there once",
                   len(set(started)) == len(started) == self.log.roots == len(self.runs)
                   and set(started) == set(self.runs) and self.ticketing.answered_otherwise == 0,
                   f"{len(started)} runs, {self.ticketing.asked_again} requests cut off")
        people = [self.ticketing, *self.approvers, *self.operators]
        errors = [error for person in people for error in person.errors]
        self.check("nobody was told of an error", not errors, errors[:3])

    def _check_shop(self):
        done = self.shop.refunds_by_call()
        outcomes = collections.Counter(self.log.outcomes.values())
        moved = self.log.moved()
        self.check("no call refunded twice", all(count == 1 for count in done.values()), f"{len(done)} refunds")
        self.check("no order was refunded twice", self.shop.most_refunds_of_an_order() == 1)
        self.check("no effect key took effect twice", all(len(calls & moved) <= 1 for calls in self.log.keys.values()))
        self.check("the shop holds what the log says, and nothing else", set(done) == moved, dict(outcomes))
        blind = self.shop.attempts_of_kind("blind")
        self.check("a tool that can be neither repeated nor looked up ran once",
                   all(count == 1 for count in blind.values()), f"{len(blind)} calls")
        started = self.shop.rows("SELECT DISTINCT call_id FROM attempts")
        self.check("nothing ran without an intent", all(call in self.log.intents for call, in started))

    def _check_approvals(self):
        approvals = self.log.approvals
        self.check("approvals were used once, by their call, and with all the grants that it takes", not approvals.wrong,
                   approvals.wrong[:3] or dict(approvals.ends))
        used = {call: approval for approval, call in approvals.consumed.items()}
        self.check("no large refund without its approval", self.shop.calls_above(LARGE_MINOR) <= set(used))
        largest = self.shop.calls_above(LARGEST_MINOR)
        self.check("none of the largest without two people",
                   all(len(approvals.granted[used[call]]) >= 2 for call in largest & set(used)), f"{len(largest)} refunds")
        refused = self.shop.rows(f"SELECT order_id FROM refunds WHERE amount_minor >= {LARGE_MINOR}")
        self.check("none that was refused",
                   not any(int(order.removeprefix("o-")) % REFUSED == 0 for order, in refused))

    def _check_money(self, budgets):
        fold = self.log.budgets
        spent = sum(amount for amount, in self.shop.rows("SELECT amount_minor FROM refunds"))
        self.check("the budget is the money that moved", fold.of("mixed.all") == (spent, 0), fold.of("mixed.all"))
        rows = {name: tuple(map(sum, zip(*((budget.settled_amount, budget.held_amount) for budget in budgets
                                           if budget.budget == name))))
                for name in ("mixed.all", "mixed.tree", "mixed.tokens")}
        self.check("budgets are the fold of their entries", all(rows[name] == fold.of(name) for name in rows), rows)
        self.check("no budget was overdrawn", not fold.overdrawn, fold.overdrawn[:3])
        self.check("every hold was settled or released", not fold.holds, len(fold.holds))

    def _check_mix(self):
        """That all of it was there."""
        counts = self.models.counts
        failed = {what: counts[f"shaky {what}"] for what in FAILS}
        self.check("the first provider failed in every way, and no plan for it",
                   all(failed.values()) and counts["shaky ok"] and counts["steady ok"] and self.log.unplanned == 0, failed)
        self.check("calls of one run were at work side by side", self.log.parallel >= 3, self.log.parallel)
        codes = {code: self.log.codes[code] for code in ("APPROVED", "BUDGET", "DUPLICATE_EFFECT")}
        ends = self.log.approvals.ends
        self.check("calls were approved, refused, too dear and made before",
                   all(codes.values()) and ends["approval.rejected"] and ends["approval.consumed"], codes)
        answers = sum((approver.answers for approver in self.approvers), collections.Counter())
        self.check("two approvers answered", all(approver.answers["yes"] for approver in self.approvers), dict(answers))

    def _check_log(self):
        status, output = self.daemon.run_cli("audit", "verify", self.daemon.data)
        self.check("the log verifies", status == 0, output.strip().partition("\n")[0])
        some = sorted({*self.runs, *self.below})
        some = self.random.sample(some, min(REPLAYS, len(some)))
        replays = {name: self.daemon.run_cli("runs", "replay", name.rsplit("/", 1)[1], "--config", self.daemon.config)
                   for name in some}
        # 3: equal, with what a person's word did to holds left out.
        differ = [(name, output) for name, (status, output) in replays.items() if status not in (0, 3)]
        self.check("runs are made anew by replay", not differ, differ[:1] or f"{len(some)} runs")
        database = self.daemon.data / "tenants" / "main" / "audit.db"
        before = tables_of(database)
        status, output = self.daemon.run_cli("audit", "rebuild", "--config", self.daemon.config)
        after = tables_of(database)
        differ = [name for name in before if before[name] != after.get(name)]
        self.check("tables are what a rebuild makes", status == 0 and before and not differ,
                   differ or f"{len(before)} tables, {sum(map(len, before.values()))} rows")

    def run(self):
        with self.daemon:
            return self._run()

    def _run(self):
        self.daemon.start()
        people = [self.ticketing, *self.approvers]
        for person in [*people, *self.operators]:
            person.start()
        self.top_up()
        for number in range(1, self.options.kills + 1):
            self.kill_once(number)
            self.refresh()
            self.top_up()
        for operator in self.operators:
            operator.end()  # the rest is said by who looks whether all of it waits by name
        settled = self.settle()
        for person in people:
            person.end()
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
    with Models(options.seed) as models:
        return in_folder(options.keep, lambda folder: Soak(options, folder, models).run())


if __name__ == "__main__":
    sys.exit(main())
