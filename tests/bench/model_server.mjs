// The scripted model server of model_server.h, by HTTP/2 over TLS and written by others: node's.
//
//   node model_server.mjs CERTIFICATE KEY
//
// Prints its base url and serves until its input ends.
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [certificate, key] = process.argv.slice(2);
let replies = 0;

function answer(asked, response) {
  const [, count] = /-n(\d+)/.exec(asked.model) ?? [0, 10];
  const [, heldMs] = /-d(\d+)/.exec(asked.model) ?? [0, 0];
  const step = asked.messages.filter((message) => message.role === "assistant").length;
  const last = step + 1 >= Number(count);
  const call = () => ({ id: `call_${step}`, type: "function",
                        function: { name: asked.tools[0].function.name, arguments: '{"a":1,"b":2}' } });
  const message = last ? { role: "assistant", content: "The answer is 3." }
    : { role: "assistant", content: null, tool_calls: [call()] };
  replies += 1;
  const json = JSON.stringify({
    id: `chatcmpl-${replies}`, object: "chat.completion", created: 1, model: asked.model,
    choices: [{ index: 0, message, finish_reason: last ? "stop" : "tool_calls" }],
    usage: { prompt_tokens: 50, completion_tokens: 10, total_tokens: 60 } });
  const send = () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(json) });
    response.end(json);
  };
  if (Number(heldMs) === 0) send();
  else setTimeout(send, Number(heldMs));
}

const server = http2.createSecureServer(
  { cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true }, (request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => answer(JSON.parse(body), response));
  });
server.listen(0, "127.0.0.1", () => console.log(`https://127.0.0.1:${server.address().port}/v1`));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
