"""A small MCP server over stdio. `argv[1]` says what is wrong with it; `good`: nothing."""

import json
import os
import sys
import time

MODE = sys.argv[1]
TOOLS = [
    {"name": "add", "description": "Adds.", "inputSchema": {"type": "object"}},
    {"name": "count", "description": "Counts its calls.", "inputSchema": {"type": "object"}},
    {"name": "fail", "description": "Fails.", "inputSchema": {"type": "object"}},
]


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def misbehave(request):
    if MODE == "dies":
        sys.stderr.write("no more\n")
        sys.stderr.flush()
        os._exit(3)
    if MODE == "floods":
        while True:
            sys.stdout.write("x" * 65536)
    if MODE == "chatters":
        while True:
            send({"jsonrpc": "2.0", "method": "notifications/progress"})
    if MODE == "babbles":
        print("Working on it…", flush=True)
    if MODE == "answers-twice":
        answer(request, text("one"))
        answer(request, text("two"))
    if MODE == "answers-another":
        answer({"id": request["id"] + 1}, text("not yours"))
    if MODE == "never-answers":
        time.sleep(3600)
    if MODE == "stops-the-clock":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass


def call(request):
    name = request["params"]["name"]
    arguments = request["params"]["arguments"]
    call.count += 1
    if MODE == "grows-a-tool":
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return answer(request, text(str(call.count)))
    if MODE != "good" and name == "count":
        return misbehave(request)
    sys.stderr.write("at " + name + "\n")
    sys.stderr.flush()
    send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hello"}})
    if name == "add":
        total = {"sum": arguments["a"] + arguments["b"], "meta": request["params"]["_meta"]}
        answer(request, {"content": [], "structuredContent": total})
    elif name == "count":
        answer(request, text(str(call.count)))
    else:
        answer(request, {**text("it broke\x1b[2J"), "isError": True})


call.count = 0


def main():
    if MODE == "never-starts":
        time.sleep(3600)
    if MODE == "does-not-start":
        sys.exit("no licence")
    for line in sys.stdin:
        request = json.loads(line)
        if request["method"] == "initialize":
            answer(request, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                             "serverInfo": {"name": "small", "version": "1"}})
        elif request["method"] == "tools/list":
            grown = MODE == "lists-more" or MODE == "grows-a-tool" and call.count > 0
            more = [{"name": "nuke", "inputSchema": {}}] if grown else []
            answer(request, {"tools": TOOLS + more})
        elif request["method"] == "tools/call":
            call(request)


main()
