// The examples run, and say what they should. So do the driver of docs/PORTING.md and the generator of the API reference.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serve } from "./support.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const run = async (...args) => (await promisify(execFile)(process.execPath, args, { cwd: here, timeout: 60_000 })).stdout;

let server;
before(async () => {
  // The examples have packages of their own, which the client does not need.
  if (!existsSync(join(here, "examples/node_modules/ws"))) {
    execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: join(here, "examples"), stdio: ["ignore", "ignore", "inherit"] });
  }
  server = await serve();
});
after(() => server.stop());

test("a lobby sends a map of five megabytes by pointer", async () => {
  assert.deepEqual((await run("examples/lobby.mjs", server.address)).trim().split("\n"), [
    "late joiner: 43 bytes over the lobby, 5000000 bytes of map", 'with "a tower, built" in it', "both maps the same: true, version 3",
  ]);
});

test("a Colyseus room has avatars by pointer", async () => {
  assert.match(await run("examples/colyseus.mjs", server.address), /Ann sees Bob: true\nBob sees Ann: true/);
});

const suite = process.env.NETSWAP_CONFORMANCE;
test("the driver in docs/PORTING.md plays the requests and what is refused", { skip: !suite && "NETSWAP_CONFORMANCE names no program" }, async () => {
  const [, code] = /```js\n(import [\s\S]*?)```/.exec(readFileSync(join(here, "../../docs/PORTING.md"), "utf8"));
  // Inside of the package, which it imports by its name.
  const driver = join(here, "test/.porting-driver.mjs");
  writeFileSync(driver, code);
  try {
    const args = ["--cases", join(here, "../../conformance/client"), "--client", `${process.execPath} ${driver}`, "3", "4.1", "4.3"];
    const { stdout } = await promisify(execFile)(suite, args, { timeout: 120_000 });
    assert.match(stdout, /\d\d passed, 0 failed/);
  } finally {
    rmSync(driver);
  }
});

test("the API reference is made without a warning, and has every call", () => {
  const out = mkdtempSync(join(tmpdir(), "netswap-"));
  execFileSync(process.execPath, [join(here, "node_modules/typedoc/bin/typedoc"), "--out", out], { cwd: here, stdio: ["ignore", "pipe", "inherit"] });
  const page = readFileSync(join(out, "classes/Client.html"), "utf8");
  for (const call of ["create", "resolveWait", "compareAndReplace", "createFrom", "resolveInto", "watch", "mirror", "close", "events"]) {
    assert.match(page, new RegExp(`id="${call.toLowerCase()}"`), call);
  }
  rmSync(out, { recursive: true });
});
