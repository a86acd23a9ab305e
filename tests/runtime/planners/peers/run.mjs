// Code that is not ours judges our dialects:
//   1. the types of the providers' own clients take the requests that we write (recorded/*.request.json);
//   2. those clients understand the replies that our tests and fakes are made of (recorded/*.json, *.sse);
//   3. our client meets a model server that others wrote.
//
//   node run.mjs MODULES TEST
//
// MODULES is a folder with node_modules (./dev peers fills it), TEST the planners_recorded_test binary.
// Traffic stays on loopback. The last line is "N passed, N failed".
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [modules, testBinary] = process.argv.slice(2).map((name) => path.resolve(name));
const recorded = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "recorded");
const require = createRequire(path.join(modules, "package.json"));
const read = (name) => readFileSync(path.join(recorded, name), "utf8");

let passed = 0;
let failed = 0;
async function check(claim, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok: ${claim}`);
  } catch (error) {
    failed += 1;
    console.log(`failed: ${claim}\n  ${String(error.stack ?? error).replaceAll("\n", "\n  ")}`);
  }
}

const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let output = "";
    child.stdout.on("data", (piece) => (output += piece));
    child.stderr.on("data", (piece) => (output += piece));
    child.on("close", (code) => resolve({ code, output }));
  });
}

// The compiler refuses unknown members of a literal, missing ones and values of the wrong kind.
async function checkTypes() {
  const folder = path.join(modules, "interlock-types");
  mkdirSync(folder, { recursive: true });
  const shapes = {
    chat: ["openai", "OpenAI.Chat.ChatCompletionCreateParamsStreaming"],
    responses: ["openai", "OpenAI.Responses.ResponseCreateParamsStreaming"],
    anthropic: ["@anthropic-ai/sdk", "Anthropic.MessageCreateParamsStreaming"],
  };
  const compile = async (name, text) => {
    const file = path.join(folder, `${name}.ts`);
    writeFileSync(file, text);
    return run(process.execPath, [
      path.join(path.dirname(require.resolve("typescript/package.json")), "bin", "tsc"), "--noEmit", "--strict",
      "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", file]);
  };
  for (const [name, [module, type]] of Object.entries(shapes)) {
    const source = (json) =>
      `import ${type.split(".")[0]} from "${module}";\nexport const request: ${type} = ${json};\n`;
    await check(`${module} takes our ${name} request`, async () => {
      const { code, output } = await compile(name, source(read(`${name}.request.json`)));
      assert.equal(code, 0, output);
    });
    await check(`${module} would refuse a wrong ${name} request`, async () => {
      const wrong = JSON.parse(read(`${name}.request.json`));
      wrong.temprature = 1;
      const { code } = await compile(`${name}_wrong`, source(JSON.stringify(wrong)));
      assert.notEqual(code, 0);
    });
  }
  rmSync(folder, { recursive: true });
}

// Answers as the recorded endpoints did.
function recordedServer() {
  const names = { "/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "anthropic" };
  return createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      const stream = JSON.parse(body).stream === true;
      const name = names[request.url];
      response.writeHead(200, { "content-type": stream ? "text/event-stream" : "application/json" });
      response.end(read(`${name}.${stream ? "sse" : "json"}`));
    });
  });
}

const calls = [["call_a", "orders-get", { id: 1 }], ["call_b", "think", {}]];

async function checkClients() {
  const server = recordedServer();
  const port = await listen(server);
  const OpenAI = require("openai").default ?? require("openai");
  const Anthropic = require("@anthropic-ai/sdk").default ?? require("@anthropic-ai/sdk");
  const openai = new OpenAI({ apiKey: "k", baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
  const anthropic = new Anthropic({ apiKey: "k", baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 });
  const chat = { model: "m-1", messages: [{ role: "user", content: "Where is it?" }] };
  const tools = ["orders-get", "think"].map((name) => ({ type: "function", function: { name, parameters: {} } }));

  const ofChat = (reply) => {
    const { message } = reply.choices[0];
    assert.equal(message.content, "Let me look.");
    assert.deepEqual(message.tool_calls.map((c) => [c.id, c.function.name, JSON.parse(c.function.arguments)]), calls);
    assert.equal(reply.usage.prompt_tokens_details.cached_tokens, 8);
  };
  await check("openai understands our chat reply", async () => ofChat(await openai.chat.completions.create(chat)));
  await check("openai understands our chat stream", async () =>
    ofChat(await openai.chat.completions.stream({ ...chat, tools }).finalChatCompletion()));

  const asked = { model: "m-1", input: "Where is it?" };
  const ofResponse = (reply) => {
    assert.equal(reply.output_text, "Let me look.");
    const made = reply.output.filter((item) => item.type === "function_call");
    assert.deepEqual(made.map((c) => [c.call_id, c.name, JSON.parse(c.arguments)]), calls);
    assert.equal(reply.usage.output_tokens_details.reasoning_tokens, 5);
  };
  await check("openai understands our response", async () => ofResponse(await openai.responses.create(asked)));
  await check("openai understands our stream of a response", async () => {
    const stream = openai.responses.stream(asked);
    let said = "";
    stream.on("response.output_text.delta", (event) => (said += event.delta));
    const reply = await stream.finalResponse();
    assert.equal(said, "Let me look.");
    ofResponse({ output_text: said, ...reply });
  });

  const message = { model: "m-1", max_tokens: 100, messages: [{ role: "user", content: "Where is it?" }] };
  const ofMessage = (reply) => {
    assert.equal(reply.content[0].text, "Let me look.");
    assert.deepEqual(reply.content.slice(1).map((c) => [c.id, c.name, c.input]), calls);
    assert.equal(reply.usage.cache_read_input_tokens, 8);
    assert.equal(reply.usage.output_tokens, 12);
    assert.equal(reply.usage.output_tokens_details.thinking_tokens, 5);
  };
  await check("anthropic understands our message", async () => ofMessage(await anthropic.messages.create(message)));
  await check("anthropic understands our stream of a message", async () =>
    ofMessage(await anthropic.messages.stream(message).finalMessage()));
  server.close();
}

// mock-llm says back what it was told last, whole or in pieces.
async function checkServer() {
  const { createServer: mockServer } = require("@dwmkerr/mock-llm/dist/server.js");
  const { getDefaultConfig } = require("@dwmkerr/mock-llm/dist/config.js");
  const config = getDefaultConfig();
  config.rules.push({
    path: "/v1/chat/completions",
    match: "contains(body.messages[-1].content, 'fail with 401')",
    response: { status: 401, content: JSON.stringify({ error: { message: "no", code: "invalid_api_key" } }) },
  });
  const log = console.log;
  console.log = () => {};  // it writes a line a request
  const server = createServer(mockServer(config, "127.0.0.1", 0));
  const port = await listen(server);
  const { code, output } = await run(testBinary, ["--gtest_filter=*Peer*"], {
    env: { ...process.env, INTERLOCK_MODEL_PEER: `http://127.0.0.1:${port}/v1` },
  });
  console.log = log;
  server.close();
  await check("our client understands mock-llm, whole and streamed", () => {
    assert.equal(code, 0, output);
    assert.match(output, /PASSED.* 2 tests/);
  });
}

await checkTypes();
await checkClients();
await checkServer();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
