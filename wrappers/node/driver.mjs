// The driver of this client for the conformance suite: makes the calls that the suite asks for, and tells what they
// returned (docs/PORTING.md §4).
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { connect, formatOwner, formatPointer, parseOwner, parsePointer } from "netswap";

// Data of the suite: hex digits, 41*1000 for many equal bytes, and + between such parts.
const bytes = (text) => Buffer.concat(text.split("+").filter(Boolean).map((part) => {
  const [digits, count] = part.split("*");
  return count === undefined ? Buffer.from(digits, "hex") : Buffer.alloc(Number(count), digits, "hex");
}));
const hex = (data) => data && Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex");
const inHex = (result) => ({ ...result, data: hex(result.data) });
const owner = (value) => (value === undefined ? undefined : formatOwner(value));
const say = (number, verb, values = {}, remark = "") => {
  const told = Object.entries(values).filter(([, value]) => value !== undefined);
  const words = told.map(([key, value]) => ` ${key}=${value}`);
  process.stdout.write(`${number} ${verb}${words.join("")}${remark && ` | ${remark.replaceAll("\n", " ")}`}\n`);
};

// Every call: the values `v` of the command become arguments, and the result becomes values again.
let client;
const pointer = (v) => parsePointer(v.pointer);
const version = (result) => ({ version: result });
const created = (result) => ({ pointer: formatPointer(result) });
const number = (text) => (text === undefined ? undefined : Number(text));
const stream = (v) => [new Blob([bytes(v.data)]).stream(), number(v.length) ?? bytes(v.data).length];
const calls = {
  connect: async (v) => {
    client = await connect({
      address: v.address, bind: v.bind, requestTimeout: number(v["request-timeout"]),
      connectTimeout: number(v["connect-timeout"]), maxReply: number(v["max-reply"]),
      maxRequests: number(v["max-requests"]), reconnect: v.reconnect !== "no",
      reconnectDelays: [number(v["reconnect-first"]), number(v["reconnect-most"])],
    });
  },
  create: async (v, o) => created(await client.create(bytes(v.data), v.access, o)),
  create_from: async (v, o) => created(await client.createFrom(...stream(v), v.access, o)),
  reserve: async (v, o) => created(await client.reserve(v.access, o)),
  resolve: async (v, o) => ({ data: hex(await client.resolve(pointer(v), o)) }),
  resolve_wait: async (v, o) =>
    ({ data: hex(await client.resolveWait(pointer(v), { ...o, timeout: number(v.timeout) })) }),
  resolve_into: async (v, o) => {
    const got = [];
    const sink = new Writable({ write: (chunk, _, done) => done(void got.push(chunk)) });
    const length = await client.resolveInto(pointer(v), sink, o);
    return { length, data: hex(Buffer.concat(got)) };
  },
  resolve_if_changed: async (v, o) => {
    const snapshot = await client.resolveIfChanged(pointer(v), BigInt(v.version ?? 0), o);
    return snapshot ? { changed: "yes", ...inHex(snapshot) } : { changed: "no" };
  },
  read_range: async (v, o) => inHex(await client.readRange(pointer(v), Number(v.offset), Number(v.length), o)),
  replace: async (v, o) => version(await client.replace(pointer(v), bytes(v.data), o)),
  replace_from: async (v, o) => version(await client.replaceFrom(pointer(v), ...stream(v), o)),
  write_range: async (v, o) => version(await client.writeRange(pointer(v), Number(v.offset), bytes(v.data), o)),
  append: (v, o) => client.append(pointer(v), bytes(v.data), o),
  compare_and_replace: async (v, o) =>
    version(await client.compareAndReplace(pointer(v), BigInt(v.version), bytes(v.data), o)),
  update: async (v, o) => version(await client.update(pointer(v), (old) => Buffer.concat([old, bytes(v.data)]), o)),
  fetch_add: (v, o) => client.fetchAdd(pointer(v), Number(v.offset), BigInt(v.delta), o),
  stat: async (v, o) => {
    const stat = await client.stat(pointer(v), o);
    return { ...stat, owner: owner(stat.owner), expires: stat.expires ?? "none" };
  },
  set_permissions: (v, o) => client.setPermissions(pointer(v), v.access, o),
  set_lifetime: (v, o) => {
    const or = (word, value, read) => (value === word ? undefined : read(value));
    const [grace, ttl] = [or("default", v.grace, Number), or("none", v.ttl, Number)];
    return client.setLifetime(pointer(v), { grace, ttl, heir: or("none", v.heir, parseOwner) }, o);
  },
  delete: (v, o) => client.delete(pointer(v), o),
  takeover: (v, o) => client.takeover(pointer(v), o),
  transfer: (v, o) => client.transfer(pointer(v), parseOwner(v.owner), o),
  request_ownership: (v, o) => client.requestOwnership(pointer(v), o),
  list: async (v, o) => ({ pointers: (await client.list(o)).map(formatPointer).join(",") }),
  identify: async (v, o) => {
    const identity = await client.identify(o);
    return { ...identity, owner: owner(identity.owner) };
  },
  ping: (v, o) => client.ping(bytes(v.data), o),
  close: () => client.close(),
};

// What goes on after it has returned: how it is given up, and how it is asked for its next change or event.
const running = new Map();
const goingOn = {
  watch: async (v, signal) => {
    const watch = await client.watch(pointer(v), { push: v.push === "yes", signal });
    return [watch, { version: watch.version }];
  },
  events: async () => [client.events(), {}],
};

async function run(call, name, v) {
  const giving = new AbortController();
  const one = { cancel: () => giving.abort(), take: () => {} };
  running.set(call, one);
  const progress = (done, total) => say(call, "progress", { done, total });
  try {
    if (name in goingOn) {
      const [source, told] = await goingOn[name](v, giving.signal);
      one.cancel = () => source.return();
      one.take = () => take(call, source);
      say(call, "returns", told);
    } else {
      say(call, "returns", (await calls[name](v, { signal: giving.signal, progress })) ?? {});
    }
  } catch (error) {
    failed(call, error);
  }
}

async function take(call, source) {
  try {
    const { value, done } = await source.next();
    if (done) return say(call, "ends");
    const { change, event, attempt, version: told, offset, access } = value;
    const values = { change, event, attempt, version: told, offset, data: hex(value.data), access };
    say(call, "tells", { ...values, owner: owner(value.owner) });
  } catch (error) {
    failed(call, error);
  }
}

function failed(call, error) {
  if (error.name === "AbortError") return; // it was cancelled, which has been said
  if (!error.kind) throw error; // a fault of the driver: the suite shows its trace
  const { kind, code, detail, limit, version: current, outcome, retryable } = error;
  const values = { error: kind, code, detail, limit, version: current, outcome, retryable: retryable ? "yes" : "no" };
  say(call, "fails", values, error.message);
}

process.stdout.write("netswap-driver 1 node\nready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [call, name, ...words] = line.split(" ");
  if (name === "cancel") {
    running.get(call)?.cancel();
    say(call, "cancelled");
  } else if (name === "take") {
    running.get(call)?.take();
  } else if (name in calls || name in goingOn) {
    const pair = (word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)];
    run(call, name, Object.fromEntries(words.map(pair)));
  } else {
    process.stdout.write(`error ${name} is no call that this driver knows: ${line}\n`);
  }
}
process.exit(0);
