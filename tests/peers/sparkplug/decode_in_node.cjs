// Run beside the npm package sparkplug-payload: one JSON line in, one out.
const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");

const codec = createRequire(`${process.argv[2]}/`)("sparkplug-payload").get("spBv1.0");
const plain = (value) => (value && typeof value === "object" ? Number(BigInt(value)) : value);

createInterface({ input: process.stdin }).on("line", (line) => {
  const found = codec.decodePayload(Buffer.from(JSON.parse(line).payload, "base64"));
  const metrics = Object.fromEntries(found.metrics.map((m) => [m.name, plain(m.value)]));
  const seq = found.seq === undefined || found.seq === null ? null : plain(found.seq);
  console.log(JSON.stringify({ seq, metrics }));
});
