#!/usr/bin/python3
r"""An agent loop of your own, with only Interlock's gate in front of its tools.

    own_loop.py --token-file /tmp/refund/ticketing.token --user c-101 --ticket T-7

`plan` stands for your model: it proposes one call at a time and reads what came of the last. Exit status: 0 it ended,
1 a call could not be made, 3 a call waits: for an approval, or for an operator who finds out what became of it. Run it
again with the same ticket then: no call is made twice.
"""
import argparse
import json
import pathlib
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import interlock_client  # noqa: E402  (the path above comes first)
from interlock_client import grpc  # noqa: E402

Call = interlock_client.STUBS.call.Call
WAITS = {Call.STATE_PARKED, Call.STATE_UNKNOWN}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:7443")
    parser.add_argument("--token-file", type=pathlib.Path, required=True)
    parser.add_argument("--user", required=True, help="customer id, as you have authenticated him")
    parser.add_argument("--ticket", required=True)
    return parser.parse_args()


def plan(step, last):
    """What the model proposes next, (tool, arguments); None: it is done."""
    order, payment = "o-1002", "p-1002"
    if step == 0:
        return "orders.get", {"order_id": order}
    if step == 1 and last.state == Call.STATE_OK:
        paid = json.loads(last.result_json)["paid_minor"]
        return "refunds.create", {"order_id": order, "payment_id": payment, "amount_minor": paid,
                                  "reason": "grinder broken on arrival"}
    return None


def request_id(ticket, step):
    """From what must happen once, never from the attempt: the same after a crash, a timeout or a wait."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ticket:{ticket}/step:{step}"))


def show(call):
    print(f"{call.tool}: {Call.State.Name(call.state).removeprefix('STATE_').lower()} {call.code}".rstrip())
    for text in (call.say, call.result_json):
        if text:
            print(f"  {text}")
    for approval in call.approvals if call.state == Call.STATE_PARKED else ():
        print(f"  interlock approvals show {approval.rpartition('/')[2]}")


def main():
    options = parse()
    gate = interlock_client.Client(options.address, interlock_client.read_token(options.token_file))
    last, step = None, 0
    while (proposal := plan(step, last)) is not None:
        tool, args = proposal
        last = gate.execute(tool, args, request_id(options.ticket, step), options.user, {"ticket": options.ticket})
        show(last)  # a denial is no error: `say` is what the model reads, and it may propose something else
        if last.state in WAITS:
            return 3
        step += 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as problem:
        sys.exit(f"own_loop.py: {interlock_client.told(problem)}")
