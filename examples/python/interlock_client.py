"""A thin client of interlockd for Python, with nothing but Debian's packages.

    apt install python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc

The stubs are generated from the .proto files on first use, into a cache folder that is named after their content, so
there is no generated code to keep in step. One `Client` per token; thread-safe, as gRPC channels are.
"""
import hashlib
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import types
import uuid

try:
    import grpc
except ModuleNotFoundError:
    sys.exit(f"{sys.executable} has no grpc: apt install python3-grpcio, and run this with /usr/bin/python3")

PROTO_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "proto"
SERVICES = ("run", "approval", "call", "tool", "budget", "audit", "switch", "rollout", "policy")


def _generate(protos, folder):
    plugin = shutil.which("grpc_python_plugin")
    if not shutil.which("protoc") or not plugin:
        sys.exit("protoc is missing: apt install protobuf-compiler protobuf-compiler-grpc")
    subprocess.run(["protoc", f"-I{PROTO_FOLDER}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                    f"--plugin=protoc-gen-grpc_python={plugin}", *map(str, protos)], check=True)


def _stub_folder():
    """The folder of generated modules; made when the .proto files have changed since."""
    protos = sorted(path.relative_to(PROTO_FOLDER) for part in ("interlock", "google")
                    for path in (PROTO_FOLDER / part).rglob("*.proto"))
    digest = hashlib.sha256()
    for path in protos:
        digest.update(str(path).encode() + b"\0" + (PROTO_FOLDER / path).read_bytes())
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "interlock"
    folder = cache / f"stubs-{digest.hexdigest()[:16]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = pathlib.Path(tempfile.mkdtemp(dir=cache))
        _generate(protos, made)
        try:
            made.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(made, ignore_errors=True)
    return folder


def load_stubs():
    """Returns a namespace: run, run_grpc, approval, approval_grpc, … (the generated modules)."""
    folder = _stub_folder()
    sys.path.insert(0, str(folder))
    google = importlib.import_module("google")
    google.__path__.append(str(folder / "google"))
    modules = {"error_details": importlib.import_module("google.rpc.error_details_pb2"),
               "status": importlib.import_module("google.rpc.status_pb2")}
    for name in SERVICES:
        modules[name] = importlib.import_module(f"interlock.v1.{name}_service_pb2")
        modules[f"{name}_grpc"] = importlib.import_module(f"interlock.v1.{name}_service_pb2_grpc")
    return types.SimpleNamespace(**modules)


STUBS = load_stubs()


def read_token(path):
    """The token in a file. Ends the program with one line when there is none."""
    try:
        token = pathlib.Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"cannot read the token file: {error}")
    if not token.isprintable() or not token:
        sys.exit(f"{path} holds no token: one line is expected")
    return token


def told(error):
    """A gRPC error in one line, with what to branch on."""
    return f"{' '.join((error.details() or '').split())} ({reason_of(error)})"


def new_id():
    """A request id: a repeat of a request with the same one changes nothing and gives the first answer."""
    return str(uuid.uuid4())


def reason_of(error):
    """The ErrorInfo reason of a gRPC error ("RUN_NOT_FOUND"), or its code's name."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        status = STUBS.status.Status.FromString(value)
        info = STUBS.error_details.ErrorInfo()
        for detail in status.details:
            if detail.Unpack(info):
                return info.reason
    return error.code().name


class Client:
    """The services of one daemon, spoken to as one principal."""

    def __init__(self, address, token, tenant="main"):
        self.parent = f"tenants/{tenant}"
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", 16 << 20)])
        self.runs = STUBS.run_grpc.RunServiceStub(self._channel)
        self.approvals = STUBS.approval_grpc.ApprovalServiceStub(self._channel)
        self.calls = STUBS.call_grpc.CallServiceStub(self._channel)
        self.tools = STUBS.tool_grpc.ToolServiceStub(self._channel)
        self.budgets = STUBS.budget_grpc.BudgetServiceStub(self._channel)
        self.audit = STUBS.audit_grpc.AuditServiceStub(self._channel)
        self.switches = STUBS.switch_grpc.SwitchServiceStub(self._channel)
        self.rollouts = STUBS.rollout_grpc.RolloutServiceStub(self._channel)
        self.policies = STUBS.policy_grpc.PolicyServiceStub(self._channel)

    def close(self):
        self._channel.close()

    def call(self, method, request, timeout=30):
        """One unary call, with the token. Raises grpc.RpcError."""
        return method(request, metadata=self._metadata, timeout=timeout)

    def stream(self, method, request, timeout=None):
        return method(request, metadata=self._metadata, timeout=timeout)

    def pages(self, method, request, field):
        """Every item of a list method, page after page."""
        while True:
            page = self.call(method, request)
            yield from getattr(page, field)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def create_run(self, agent, message, user="", session_json="{}", request_id=None):
        run = STUBS.run.Run(agent=agent, message=message, user=user, session_json=session_json)
        return self.call(self.runs.CreateRun, STUBS.run.CreateRunRequest(
            parent=self.parent, run=run, request_id=request_id or new_id()))

    def get_run(self, name):
        return self.call(self.runs.GetRun, STUBS.run.GetRunRequest(name=name))

    def watch(self, name, after=-1):
        """Entries and states of a run as they become durable. Goes on where it was when the stream breaks."""
        while True:
            request = STUBS.run.WatchRunRequest(name=name, after_run_seq=after, view=STUBS.run.CONTENT_VIEW_FULL)
            try:
                for item in self.stream(self.runs.WatchRun, request):
                    if item.HasField("event"):
                        after = item.event.run_seq
                    yield item
                return
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(0.2)

    def execute(self, tool, args, request_id, user="", session=None):
        """One call through the gate, without a run. A repeat with the same request id never runs it twice."""
        call = STUBS.tool.ToolCall(tool=tool, args_json=json.dumps(args), user=user,
                                   session_json=json.dumps(session or {}))
        return self.call(self.tools.ExecuteToolCall, STUBS.tool.ExecuteToolCallRequest(
            parent=self.parent, call=call, request_id=request_id))

    def pending_approvals(self, run=""):
        request = STUBS.approval.ListApprovalsRequest(
            parent=self.parent, run=run, page_size=1000, state=STUBS.approval.Approval.STATE_PENDING)
        return list(self.pages(self.approvals.ListApprovals, request, "approvals"))

    def approve(self, approval, reason="", for_user=False):
        answer_for = STUBS.approval.ANSWER_FOR_RUN_USER if for_user else STUBS.approval.ANSWER_FOR_UNSPECIFIED
        return self.call(self.approvals.Approve, STUBS.approval.ApproveRequest(
            name=approval.name, etag=approval.etag, reason=reason, answer_for=answer_for, request_id=new_id()))

    def entries(self, run="", start=0):
        """Entries of the log, oldest first: of a run, or all from an index on."""
        request = STUBS.audit.ListEntriesRequest(parent=self.parent, page_size=1000, run=run, start_index=start)
        return self.pages(self.audit.ListEntries, request, "entries")
