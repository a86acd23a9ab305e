// A server on loopback that is not ours, for what HTTP/2 does: node's.
//
//   node http2_peer.mjs CERTIFICATE KEY [http1]
//
// Prints its port, then one line for each line that it is told: see `told`. Ends with its input. `http1`: it speaks
// HTTP/1.1 over TLS alone. What a request gets is its path.
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import { createInterface } from "node:readline";

const [certificate, key, only] = process.argv.slice(2);
const keys = { cert: readFileSync(certificate), key: readFileSync(key) };
const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

let connections = 0;
let requests = 0;
let aborted = 0;
let broken = 0; // streams
let held = [];
const open = new Set(); // sockets
const sessions = new Set();
const waiting = []; // [what must hold, what to do then]

function changed() {
  for (let i = waiting.length - 1; i >= 0; i -= 1) {
    if (waiting[i][0]()) waiting.splice(i, 1)[0][1]();
  }
}

function stream(response, pieces) {
  if (pieces.length === 0) return response.end();
  response.write(pieces[0], () => setImmediate(() => stream(response, pieces.slice(1))));
}

// A model's reply that says how it was asked; the first stream breaks off in its middle.
function complete(request, response) {
  const reply = { choices: [{ message: { content: request.httpVersion } }] };
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    if (!JSON.parse(body).stream) return response.end(JSON.stringify(reply));
    response.writeHead(200, { "content-type": "text/event-stream" });
    const begin = `data: {"choices":[{"delta":{"content":"${request.httpVersion}"}}]}\n\n`;
    if (broken++ === 0) return response.write(begin, () => response.stream.close(NGHTTP2_INTERNAL_ERROR));
    response.end(`${begin}data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`);
  });
}

const answers = {
  "/v1/chat/completions": complete,
  "/ok": (request, response) => response.end(request.httpVersion),
  "/hold": (request, response) => {
    held.push(response);
    response.stream?.once("aborted", () => (aborted += 1, changed()));
    changed();
  },
  "/reset": (request, response) => response.stream.close(NGHTTP2_INTERNAL_ERROR),
  "/refuse": (request, response) => response.stream.close(NGHTTP2_REFUSED_STREAM),
  "/half": (request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.stream.close(NGHTTP2_INTERNAL_ERROR));
  },
  "/events": (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    stream(response, Array.from({ length: 50 }, (_, i) => `data: ${i}\n\n`));
  },
  "/endless": (request, response) => response.write("data: [DONE]\n\n"),
  "/big": (request, response) => response.end(Buffer.alloc(4 << 20, "x")),
  "/headers": (request, response) => {
    for (let i = 0; i < 60; i += 1) response.setHeader(`x-${i}`, "y".repeat(100));
    response.end("ok");
  },
  "/echo": (request, response) => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => response.end(Buffer.concat(pieces)));
  },
  "/count": (request, response) => {
    let bytes = 0;
    request.on("data", (piece) => (bytes += piece.length));
    request.on("end", () => response.end(String(bytes)));
  },
};

// Each is answered by one line.
const told = {
  connections: (say) => say(connections),
  requests: (say) => say(requests),
  // Says so once as many requests are held, or streams were ended by their client.
  held: (say, count) => waiting.push([() => held.length >= count, () => say("ok")]),
  aborted: (say, count) => waiting.push([() => aborted >= count, () => say("ok")]),
  release: (say) => {
    for (const response of held) response.end("ok");
    held = [];
    say("ok");
  },
  // No stream above that one was processed.
  goaway: (say, last) => {
    for (const session of sessions) session.goaway(NGHTTP2_NO_ERROR, last);
    say("ok");
  },
  kill: (say) => {
    for (const socket of open) socket.destroy();
    held = [];
    waiting.push([() => open.size === 0, () => say("ok")]);
  },
};

function serve(request, response) {
  requests += 1;
  response.on("error", () => {});
  answers[request.url](request, response);
}

const server = only === "http1" ? https.createServer(keys, serve)
  : http2.createSecureServer({ ...keys, allowHTTP1: true, maxSessionMemory: 1000 }, serve);
server.on("session", (session) => {
  sessions.add(session);
  session.on("error", () => {});
  session.on("close", () => sessions.delete(session));
});
server.on("secureConnection", (socket) => {
  connections += 1;
  open.add(socket);
  socket.on("error", () => {});
  socket.on("close", () => (open.delete(socket), changed()));
});
server.on("sessionError", () => {});
server.on("tlsClientError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [command, count] = line.split(" ");
  told[command]((answer) => console.log(answer), Number(count));
  changed();
});
lines.on("close", () => process.exit(0));
