#!/usr/bin/python3
r"""From a ticket to a refund, over gRPC: makes a run, watches it, and answers the approvals that it may answer.

    client.py --address 127.0.0.1:7443 --token-file /tmp/refund/ticketing.token \
              --user c-101 --ticket T-1 --script approval --message "My grinder arrived broken." \
              [--yes] [--manager-token-file /tmp/refund/dora.token]

--yes relays the customer's own yes (role user-relay); --manager-token-file approves as that person.
Exit status: 0 the run completed, 1 it did not or could not be made, 3 it waits for somebody.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import interlock_client  # noqa: E402  (the path above comes first)
from interlock_client import grpc  # noqa: E402

Run = interlock_client.STUBS.run.Run
FINAL = {Run.STATE_COMPLETED, Run.STATE_FAILED, Run.STATE_CANCELLED, Run.STATE_ESCALATED, Run.STATE_UNCOMPENSATED}
WAITING = {Run.STATE_WAITING_FOR_USER, Run.STATE_WAITING_FOR_PERSON}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:7443")
    parser.add_argument("--token-file", type=pathlib.Path, required=True)
    parser.add_argument("--manager-token-file", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--agent", default="refund")
    parser.add_argument("--user", required=True, help="customer id, as the ticket system knows it")
    parser.add_argument("--ticket", required=True)
    parser.add_argument("--script", default="refund", help="which scripted conversation; ignored by a model")
    parser.add_argument("--message", required=True)
    parser.add_argument("--yes", action="store_true", help="the customer confirms what he is asked")
    return parser.parse_args()


def show(event):
    """One line for an entry: its kind, and of its body what a reader looks for first."""
    body = json.loads(event.entry_json)["body"]
    told = [str(body[key]) for key in ("tool", "effect", "code", "kind", "level", "amount", "unit") if body.get(key)]
    said = [event.content[key] for key in ("text", "args", "say", "result", "answer") if event.content.get(key)]
    print(f"{event.run_seq:4} {event.kind:20} {' '.join(told)}" + "".join(f"\n       {text}" for text in said))


def answer(clients, run_name, relay_yes):
    """Says yes to whatever waits, as everybody who may. Returns whether nobody else has to be waited for."""
    ticketing, managers = clients
    complete = True
    for approval in ticketing.pending_approvals(run_name):
        print(f"     asks: {approval.say}\n       {approval.tool} {approval.args_json}")
        if "run-user" in approval.approvers:
            if relay_yes:
                ticketing.approve(approval, "the customer said yes", for_user=True)
            complete = complete and relay_yes
            continue
        for manager in managers[:approval.quorum]:
            manager.approve(approval, "checked against the order")
        complete = complete and len(managers) >= approval.quorum
    return complete


def main():
    options = parse()
    ticketing = interlock_client.Client(options.address, interlock_client.read_token(options.token_file))
    managers = [interlock_client.Client(options.address, interlock_client.read_token(path))
                for path in options.manager_token_file]
    session = json.dumps({"ticket": options.ticket, "script": options.script})
    # The ticket's own id would do as well: a repeat with the same request id gives the same run.
    run = ticketing.create_run(options.agent, options.message, options.user, session)
    print(run.name)
    for item in ticketing.watch(run.name):
        if item.HasField("event"):
            show(item.event)
            continue
        run = item.run
        print(f"     {Run.State.Name(run.state)}")
        if run.state in FINAL:
            break
        if run.state == Run.STATE_WAITING_FOR_APPROVAL and not answer((ticketing, managers), run.name, options.yes):
            return 3
        if run.state in WAITING:
            print(f"     {run.answer}")
            return 3
    print(run.answer or run.reason)
    return 0 if run.state == Run.STATE_COMPLETED else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as problem:
        sys.exit(f"client.py: {interlock_client.told(problem)}")
