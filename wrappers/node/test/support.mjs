// What the tests share: a real server, a scripted one, and the reader of the conformance suite's files.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The program `netswap`: NETSWAP_BIN, or what cargo has built. */
export function binary() {
  const named = process.env.NETSWAP_BIN;
  const found = [named, `${root}target/release/netswap`, `${root}target/debug/netswap`].find((path) => path && existsSync(path));
  if (found === undefined || (named && found !== named)) {
    throw new Error(`no netswap at ${named ?? "target"}: build it with cargo, or name it with NETSWAP_BIN`);
  }
  return found;
}

/** Servers that run; none outlives its test, however that ends. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Runs a server until `stop`. */
export async function serve(...args) {
  const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const child = spawn(binary(), ["serve", ...listen, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  running.add(child);
  const over = once(child, "exit").then(() => running.delete(child));
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /listening on (\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stdout.resume();
    return {
      address,
      stop: async () => {
        child.kill("SIGTERM");
        await over;
      },
      kill: async () => {
        child.kill("SIGKILL");
        await over;
      },
    };
  }
  throw new Error(`the server did not start: ${said}`);
}

/**
 * A server that does what it is told with each of its sockets. The greeting of the first is answered, unless `greets` is
 * false: a client that connects again does not greet.
 */
export async function pretend(onSocket, greets = true) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    if (!greets) {
      onSocket(socket);
      socket.resume();
      return;
    }
    greets = false;
    let got = Buffer.alloc(0);
    socket.on("data", function greet(data) {
      got = Buffer.concat([got, data]);
      if (got.length < 10) return;
      socket.off("data", greet);
      if (got[8] === 7) {
        socket.write(packet(got.readUInt32BE(0), 0, 0, GREETING));
        got = got.subarray(10);
      }
      onSocket(socket);
      if (got.length > 0) socket.emit("data", got);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${server.address().port}`,
    sockets,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const GREETING = Buffer.from("036278796ac4cc400001056e100000000000012c", "hex");

/** A packet that is a whole message. */
export function packet(xid, code, access, payload = Buffer.alloc(0), remaining = payload.length) {
  const header = Buffer.alloc(10);
  header.writeUInt32BE(xid, 0);
  header.writeUInt32BE(remaining, 4);
  header[8] = code;
  header[9] = access;
  return Buffer.concat([header, payload]);
}

/** The cases of the conformance suite's server files: each with its ID, and its steps without their explanations. */
export function cases() {
  const directory = `${root}conformance/server/`;
  const all = [];
  for (const file of readdirSync(directory).sort()) {
    for (const line of readFileSync(directory + file, "utf8").split("\n").slice(1)) {
      if (line === "" || line.startsWith("#")) continue;
      if (line.startsWith("case ")) all.push({ title: line.slice(5), steps: [] });
      else all.at(-1).steps.push(line.split(" | ")[0]);
    }
  }
  return all;
}

/** The bytes of a step. Bytes that only the server knows are made up, the same under the same name. */
export function bytes(text, names) {
  const words = text.trim().split(/\s+/);
  const parts = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    let item;
    if (word.startsWith("$") && word.includes(":")) {
      const [name, length] = word.split(":");
      item = Buffer.alloc(Number(length), names.size + 1);
      names.set(name, item);
    } else if (word.startsWith("$")) item = names.get(word);
    else if (word.startsWith('"')) item = Buffer.from(word.replaceAll('"', ""), "latin1");
    else if (word.endsWith("s")) {
      item = Buffer.alloc(4);
      item.writeUInt32BE(Number(word.slice(0, -1)));
    } else item = Buffer.from(word, "hex");
    if (words[at + 1] === "*") {
      item = Buffer.concat(Array(Number(words[at + 2])).fill(item));
      at += 2;
    }
    parts.push(item);
  }
  return Buffer.concat(parts);
}

/** Data whose memory was given to somebody else. */
export function moved(data) {
  structuredClone(data.buffer, { transfer: [data.buffer] });
  return data;
}

/** Waits until something is so. */
export async function until(condition, milliseconds = 5000) {
  const by = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > by) throw new Error(`not so within ${milliseconds} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
