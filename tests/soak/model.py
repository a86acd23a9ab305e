"""Two providers of the chat-completions dialect for soaks: one that fails in every way, and one that answers.

What a run does stands in its first message, as JSON: {"steps": [[{"tool", "args"}, …], …], "answer": …}. Each reply is a
function of the conversation alone, so that whoever is asked again, by whichever daemon, says the same.
"""
import collections
import http.server
import json
import random
import threading
import time

SHAKY_DELAY_SECONDS = 0.2
# Of twenty requests to the shaky one, in whatever order; the rest is well.
FAILS = {"status_500": 3, "status_429": 1, "no_json": 2, "no_choices": 2, "half_a_body": 2, "hangs_up": 1}
FATES = [*(what for what, times in FAILS.items() for _ in range(times)), "slow"]
FATES += ["ok"] * (20 - len(FATES))


def _script(messages):
    """The JSON that the conversation began with; {} where there is none."""
    for message in messages:
        text = message.get("content") or ""
        if message["role"] == "user" and text.startswith("{"):
            return json.loads(text)
    return {}


def plan(request):
    """The reply to a request, and why it ends: the next step of the script."""
    messages = request["messages"]
    script = _script(messages)
    step = sum(message["role"] == "assistant" for message in messages)
    steps = script.get("steps", [])
    if step >= len(steps):
        return {"role": "assistant", "content": script.get("answer", "done")}, "stop"
    calls = [{"id": f"c{step}-{number}", "type": "function",
              "function": {"name": call["tool"].replace(".", "-"), "arguments": json.dumps(call["args"])}}
             for number, call in enumerate(steps[step])]
    return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"


def completion(request):
    message, finish = plan(request)
    return json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}}).encode()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A daemon that is killed leaves its connections as they are."""


class Models:
    """A context manager: serves `<address>/shaky/v1` and `<address>/steady/v1`. `counts` says what was answered."""

    def __init__(self, seed):
        self.counts = collections.Counter()
        self._random = random.Random(seed)
        self._deck = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _fate(self):
        with self._lock:
            if not self._deck:
                self._deck = self._random.sample(FATES, len(FATES))
            return self._deck.pop()

    def _count(self, what):
        with self._lock:
            self.counts[what] += 1

    def _handler(self):
        models = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802 (the name is the library's)
                models._answer(self)

            def log_message(self, *_):
                """Nothing: there are thousands."""

            def send(self, status, body, length=None):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def _answer(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        who = handler.path.split("/")[1]
        fate = self._fate() if who == "shaky" else "ok"
        self._count(f"{who} {fate}")
        if fate == "slow":
            time.sleep(SHAKY_DELAY_SECONDS)
        if fate in ("ok", "slow"):
            handler.send(200, completion(request))
        elif fate.startswith("status_"):
            handler.send(int(fate.removeprefix("status_")), b'{"error": {"message": "on purpose"}}')
        elif fate == "no_json":
            handler.send(200, b"<html>it works</html>")
        elif fate == "no_choices":
            handler.send(200, b'{"choices": [{"message": {"tool_calls": "all of them"}}]}')
        else:
            body = completion(request)
            if fate == "half_a_body":
                handler.send(200, body[:len(body) // 2], len(body))
            handler.close_connection = True
