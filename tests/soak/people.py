"""People and programs at work beside a soak, at whatever daemon there is: what a dead one did not answer is asked again."""
import collections
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "harness"))
from daemon import interlock_client  # noqa: E402  (the path above comes first)

STUBS = interlock_client.STUBS
CODES = interlock_client.grpc.StatusCode
PAUSE_SECONDS = 0.05
NO_ANSWER = {CODES.UNAVAILABLE, CODES.DEADLINE_EXCEEDED, CODES.CANCELLED}
# Of an approver whom another was faster than, or who has answered already.
TOO_LATE = {CODES.FAILED_PRECONDITION, CODES.ABORTED, CODES.PERMISSION_DENIED}


class Person(threading.Thread):
    """Does `look` again and again with a client of the daemon of the moment. `errors` should stay empty."""

    def __init__(self, daemon, principal):
        super().__init__(daemon=True)
        self.principal = principal
        self.errors = []
        self.asked_again = 0  # what no daemon had answered
        self._daemon = daemon
        self._ended = threading.Event()

    def run(self):
        while not self._ended.is_set():
            client = self._daemon.client(self.principal)
            try:
                self.look(client)
            except interlock_client.grpc.RpcError as error:
                if error.code() in NO_ANSWER:
                    self.asked_again += 1
                else:
                    self.errors.append(interlock_client.told(error))
            finally:
                client.close()
            self._ended.wait(PAUSE_SECONDS)

    def end(self):
        self._ended.set()
        self.join()


class Approver(Person):
    """Answers all that is pending: no to what `refuses(args_json)` says, yes to the rest. A repeat has the same id."""

    def __init__(self, daemon, principal, refuses):
        super().__init__(daemon, principal)
        self.answers = collections.Counter()
        self._refuses = refuses
        self._ids = collections.defaultdict(interlock_client.new_id)
        self._done = set()

    def look(self, client):
        for approval in client.pending_approvals():
            what = (approval.name, approval.etag)
            if what in self._done:
                continue
            no = self._refuses(approval.args_json)
            method, request = ((client.approvals.Reject, STUBS.approval.RejectRequest) if no else
                               (client.approvals.Approve, STUBS.approval.ApproveRequest))
            try:
                client.call(method, request(name=approval.name, etag=approval.etag, reason="looked at it",
                                            request_id=self._ids[what]))
                self.answers["no" if no else "yes"] += 1
            except interlock_client.grpc.RpcError as error:
                if error.code() not in TOO_LATE:
                    raise
                self.answers[interlock_client.reason_of(error)] += 1
            self._done.add(what)


class Operator(Person):
    """Says what became of calls that nobody knows the end of, of tools that neither repeat nor look up: those stay as they
    are until a person has spoken. Of money two say the same."""

    def __init__(self, daemon, principal, tool, happened):
        super().__init__(daemon, principal)
        self.said = 0
        self._tool = tool
        self._happened = happened  # of a call's id
        self._ids = collections.defaultdict(interlock_client.new_id)
        self._done = set()

    def look(self, client):
        request = STUBS.call.ListCallsRequest(parent=client.parent, page_size=1000, state=STUBS.call.Call.STATE_UNKNOWN)
        for call in list(client.pages(client.calls.ListCalls, request, "calls")):
            if call.tool == self._tool and call.name not in self._done:
                self._resolve(client, call.name)

    def _resolve(self, client, name):
        finding = STUBS.call.ResolveCallRequest
        what = finding.FINDING_HAPPENED if self._happened(name.rsplit("/", 1)[1]) else finding.FINDING_NOT_HAPPENED
        try:
            client.call(client.calls.ResolveCall, STUBS.call.ResolveCallRequest(
                name=name, reason="looked into the shop", request_id=self._ids[name], finding=what))
            self.said += 1
        except interlock_client.grpc.RpcError as error:
            if error.code() not in TOO_LATE:
                raise
        self._done.add(name)


class Ticketing(Person):
    """Starts the runs that it is asked for, each by one request that is repeated until somebody answers."""

    def __init__(self, daemon, make):
        super().__init__(daemon, "ticketing")
        self.started = []      # names, as they were answered
        self.answered_otherwise = 0    # requests whose repeat was answered otherwise
        self._make = make      # arguments of create_run
        self._wanted = 0
        self._lock = threading.Lock()
        self._open = None      # (arguments, request id) of what nobody has answered yet

    def want(self, runs):
        """So many more than there are."""
        with self._lock:
            self._wanted = runs

    def waits(self):
        with self._lock:
            return self._wanted > 0 or self._open is not None

    def look(self, client):
        while self._next():
            arguments, request_id = self._open
            name = client.create_run(*arguments, request_id=request_id).name
            if len(self.started) % 8 == 0:  # as one who has not heard the answer
                again = client.create_run(*arguments, request_id=request_id).name
                self.answered_otherwise += again != name
            self.started.append(name)
            with self._lock:
                self._open = None

    def _next(self):
        with self._lock:
            if self._open is None and self._wanted > 0 and not self._ended.is_set():
                self._open = (self._make(), interlock_client.new_id())
                self._wanted -= 1
            return self._open is not None
