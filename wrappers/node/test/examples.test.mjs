// The examples run, and say what they should. So does the generator of the API reference.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
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

test("the API reference is made without a warning, and has every call", () => {
  const out = mkdtempSync(join(tmpdir(), "netswap-"));
  execFileSync(process.execPath, [join(here, "node_modules/typedoc/bin/typedoc"), "--out", out], { cwd: here, stdio: ["ignore", "pipe", "inherit"] });
  const page = readFileSync(join(out, "classes/Client.html"), "utf8");
  for (const call of ["create", "resolveWait", "compareAndReplace", "createFrom", "resolveInto", "watch", "mirror", "close", "events"]) {
    assert.match(page, new RegExp(`id="${call.toLowerCase()}"`), call);
  }
  rmSync(out, { recursive: true });
});
