// Compares this client with ioredis and node-redis, each with its own server on this machine: reads and writes of 64 bytes
// by 1 and by 64 callers, and of 1 MiB. Needs redis-server, and netswap as NETSWAP_BIN or from cargo.
//   cd bench && npm install && node compare.mjs [seconds for each figure]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as dial } from "node:net";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { connect } from "../dist/index.mjs";
import { serve } from "../test/support.mjs";

const SECONDS = Number(process.argv[2] ?? 1);
const ROUNDS = 25;
const PORT = 17_379;

const small = Buffer.alloc(64, 7);
const large = Buffer.alloc(1024 * 1024, 7);

const redisServer = spawn("redis-server", ["--port", String(PORT), "--save", "", "--appendonly", "no"], { stdio: "ignore" });
for (let up = false; !up; ) {
  const socket = dial(PORT, "127.0.0.1");
  up = await Promise.race([once(socket, "connect").then(() => true), once(socket, "error").catch(() => false).then(() => false)]).catch(() => false);
  socket.destroy();
  if (!up) await new Promise((resolve) => setTimeout(resolve, 50));
}
const server = await serve(...process.argv.slice(3));

const netswap = await connect(server.address);
const ioredis = new Redis(PORT, "127.0.0.1");
const node = await createClient({ url: `redis://127.0.0.1:${PORT}` }).connect();
const { RESP_TYPES } = await import("redis");
const buffers = node.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
const [a, b] = [await netswap.create(small), await netswap.create(large)];
await ioredis.set("a", small);
await ioredis.set("b", large);

const clients = {
  netswap: { read: (big) => netswap.resolve(big ? b : a), write: (big) => netswap.replace(big ? b : a, big ? large : small) },
  ioredis: { read: (big) => ioredis.getBuffer(big ? "b" : "a"), write: (big) => ioredis.set(big ? "b" : "a", big ? large : small) },
  "node-redis": { read: (big) => buffers.get(big ? "b" : "a"), write: (big) => node.set(big ? "b" : "a", big ? large : small) },
};

/** Operations a second of so many callers, each of which makes a call when its last has ended. */
async function measure(call, callers, seconds) {
  let done = 0;
  const started = performance.now();
  const until = started + seconds * 1000;
  const one = async () => {
    while (performance.now() < until) {
      await call();
      done += 1;
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: callers }, one));
  const { user, system } = process.cpuUsage(before);
  return { rate: done / ((performance.now() - started) / 1000), cost: (user + system) / done };
}

const median = (figures) => figures.toSorted((a, b) => a - b)[figures.length >> 1];

const work = [["64 B", false, 1], ["64 B", false, 64], ["1 MiB", true, 1], ["1 MiB", true, 8]];
console.log(`| operations a second | callers | ${Object.keys(clients).join(" | ")} |\n|---|---|---|---|---|`);
for (const [size, big, callers] of work) {
  for (const what of ["read", "write"]) {
    // The clients take turns, so that what else the machine does is shared; each figure is the median of its rounds.
    const figures = Object.fromEntries(Object.keys(clients).map((name) => [name, []]));
    const costs = Object.fromEntries(Object.keys(clients).map((name) => [name, []]));
    for (let round = -1; round < ROUNDS; round += 1) {
      for (const [name, client] of Object.entries(clients)) {
        const { rate, cost } = await measure(() => client[what](big), callers, SECONDS / ROUNDS);
        if (round < 0) continue;
        figures[name].push(rate);
        costs[name].push(cost);
      }
    }
    // In brackets: microseconds of this process's processor time for each operation.
    const told = Object.keys(figures).map((name) => `${Math.round(median(figures[name])).toLocaleString("en")} (${median(costs[name]).toFixed(1)})`);
    console.log(`| ${what} ${size} | ${callers} | ${told.join(" | ")} |`);
  }
}
await netswap.close();
ioredis.disconnect();
await node.close();
await server.stop();
redisServer.kill();
