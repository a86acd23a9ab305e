// The rules of bench_policy.cc for Cedar's WebAssembly build, one `BENCH {json}` line a row.
// Usage: node cedar.mjs FOLDER, which holds node_modules/@cedar-policy/cedar-wasm.
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2], "package.json"));
const cedar = require("@cedar-policy/cedar-wasm/nodejs");

const WARM_UP = 50;
const SAMPLES = 300;

function policies(applicable, others) {
  let text = 'permit(principal, action == Action::"refunds.create", resource);\n';
  for (let i = 1; i < applicable; i++) {
    text += `forbid(principal, action == Action::"refunds.create", resource) when { context.amount > ${100000 + i} && `
      + 'context.order.status == "delivered" && context.user != "u1" && context.reason_trusted };\n';
  }
  for (let i = 0; i < others; i++) {
    text += i % 2 === 0
      ? `permit(principal, action == Action::"t${i}", resource);\n`
      : 'forbid(principal, action == Action::"refunds.create", resource) '
        + `when { context.customer == "c${i}" && context.amount > 5 };\n`;
  }
  return text;
}

const request = (id) => ({
  principal: { type: "User", id: "u1" },
  action: { type: "Action", id: "refunds.create" },
  resource: { type: "Shop", id: "s1" },
  context: {
    order_id: "o-1001", customer: "c-none", payment_id: "p-77", amount: 2000, currency: "USD", reason: "broken",
    reason_trusted: false, user: "u1", shop: "s1", order: { status: "paid", paid: 5000, refunded: 0 },
  },
  preparsedPolicySetId: id,
  entities: [],
});

function bench(what, applicable, others) {
  const id = `p${applicable}-${others}`;
  const parsed = cedar.preparsePolicySet(id, { staticPolicies: policies(applicable, others) });
  if (parsed.type !== "success") throw new Error(JSON.stringify(parsed));
  const call = request(id);
  const micros = [];
  const samples = others > 0 ? SAMPLES / 10 : SAMPLES;
  for (let i = 0; i < WARM_UP + samples; i++) {
    const start = process.hrtime.bigint();
    const answer = cedar.statefulIsAuthorized(call);
    const took = Number(process.hrtime.bigint() - start) / 1000;
    if (answer.type !== "success" || answer.response.decision !== "allow") throw new Error(JSON.stringify(answer));
    if (i >= WARM_UP) micros.push(took);
  }
  micros.sort((a, b) => a - b);
  console.log("BENCH " + JSON.stringify({
    what, p50: micros[micros.length >> 1], p99: micros[Math.floor(micros.length * 0.99)], unit: "us",
    floor: null, floor_name: "", target: "", target_met: null,
  }));
}

bench("  Cedar (wasm, preparsed), 10 rules", 10, 0);
bench("  Cedar (wasm, preparsed), 100 rules", 100, 0);
bench("  Cedar (wasm, preparsed), 10 of 10,000 rules", 10, 10000);
