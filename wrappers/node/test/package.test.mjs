// The package as users get it: what is in it, how tools judge it, and that it works from ESM, CommonJS and TypeScript.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { serve } from "./support.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const tool = (name, file) => join(here, "node_modules", name, file);
const node = (args, cwd = here) => execFileSync(process.execPath, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const npm = (args, cwd) => execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

let server;
let project;
let packed;
before(async () => {
  server = await serve();
  project = mkdtempSync(join(tmpdir(), "netswap-"));
  [packed] = JSON.parse(npm(["pack", "--json", "--ignore-scripts", "--pack-destination", project], here));
  writeFileSync(join(project, "package.json"), '{ "name": "empty", "private": true }');
  npm(["install", "--offline", "--no-audit", "--no-fund", "--no-package-lock", join(project, packed.filename)], project);
});
after(async () => {
  rmSync(project, { recursive: true, force: true });
  await server.stop();
});

test("it has what it should, and nothing else", () => {
  const others = packed.files.map(({ path }) => path).filter((path) => !/^dist\/.*\.(js|mjs|d\.ts|d\.mts)$/.test(path));
  assert.deepEqual(others.sort(), ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"]);
  assert.ok(packed.size < 100_000, `${packed.size} bytes`);
  const { dependencies, peerDependencies, optionalDependencies, scripts } = JSON.parse(readFileSync(join(project, "node_modules/netswap/package.json")));
  assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
  assert.ok(!("install" in scripts) && !("postinstall" in scripts));
});

test("publint and are-the-types-wrong find nothing", () => {
  const said = node([tool("publint", "src/cli.js"), "--strict", here]);
  assert.match(said, /All good/);
  node([tool("@arethetypeswrong/cli", "dist/index.js"), "--format", "json", join(project, packed.filename)]);
});

test("the lock files have no download addresses", () => {
  for (const directory of ["", "examples/", "bench/"]) {
    const { packages } = JSON.parse(readFileSync(`${here}${directory}package-lock.json`, "utf8"));
    assert.ok(Object.keys(packages).length > 5);
    for (const [name, { resolved, link }] of Object.entries(packages)) assert.ok(resolved === undefined || link === true, name);
  }
});

const BODY = `
  const client = await connect(process.argv[2]);
  const pointer = await client.create(Buffer.from("hello"), "r");
  console.log(formatPointer(pointer).length, String(await client.resolve(pointer)));
  await client.close();`;

test("from ESM", () => {
  writeFileSync(join(project, "esm.mjs"), `import { connect, formatPointer } from "netswap";${BODY}`);
  assert.equal(node(["esm.mjs", server.address], project), "16 hello\n");
});

test("from CommonJS, with the same classes", () => {
  writeFileSync(join(project, "cjs.cjs"), `const { connect, formatPointer, NetSwapError } = require("netswap");
    (async () => {${BODY}
      console.log((await import("netswap")).NetSwapError === NetSwapError);
    })();`);
  assert.equal(node(["cjs.cjs", server.address], project), "16 hello\ntrue\n");
});

test("from TypeScript, as both sorts of module, with `await using`", () => {
  const code = `import { connect, formatPointer, NetSwapError, type Change, type Client, type Pointer } from "netswap";
    async function main(): Promise<void> {
      await using client: Client = await connect({ address: process.argv[2] as string, requestTimeout: 5000 });
      const pointer: Pointer = await client.create(new Uint8Array([104, 105]), "rw");
      const data: Buffer = await client.resolve(pointer);
      const { version }: { version: bigint } = await client.append(pointer, data);
      client.on("disconnected", (error: NetSwapError) => console.log(error.kind));
      for await (const change of client.watch(pointer, { push: true })) {
        const told: Change = change;
        if (told.change === "changed") { console.log(version, String(told.data)); break; }
      }
      await client.delete(pointer).then(() => client.stat(pointer)).catch((error: unknown) => {
        if (error instanceof NetSwapError && error.code === "ADDRESS_FAULT") console.log(formatPointer(pointer).length);
      });
      // At the end of their block they are closed, in whatever way it is left.
      const kept: Client[] = [];
      try {
        await using asynchronous = await connect(process.argv[2] as string);
        using other = await connect(process.argv[2] as string);
        kept.push(asynchronous, other);
        const shared = await other.create(data, "r");
        using watch = await other.watch(shared);
        await using mirror = await asynchronous.mirror(shared);
        console.log(kept.map(({ isClosed }) => isClosed), watch.version, mirror.isLive);
        throw new RangeError("the block is left");
      } catch (error) {
        console.log(kept.map(({ isClosed }) => isClosed), (error as Error).name);
      }
      // @ts-expect-error: pointers are bigints
      await client.resolve("text").catch((error: Error) => console.log(error.name));
    }
    void main();`;
  for (const [name, emitted] of [["ts.mts", "ts.mjs"], ["ts.cts", "ts.cjs"]]) {
    writeFileSync(join(project, name), code);
    const args = ["--strict", "--target", "es2022", "--lib", "es2023,esnext.disposable,dom", "--module", "nodenext", "--types", "node",
      "--typeRoots", join(here, "node_modules/@types"), name];
    node([tool("typescript", "bin/tsc"), ...args], project);
    assert.equal(node([emitted, server.address], project), "2n hihi\n16\n[ false, false ] 1n true\n[ true, true ] RangeError\nTypeError\n");
  }
});

test("the quick start of the README runs as it stands there", async () => {
  const [, code] = /```js\n(\/\/ quick-start[\s\S]*?)```/.exec(readFileSync(`${here}README.md`, "utf8"));
  assert.match(code, /127\.0\.0\.1:7420/);
  writeFileSync(join(project, "quick.mjs"), code.replaceAll("127.0.0.1:7420", server.address));
  assert.equal(node(["quick.mjs"], project), "3000000 bytes\n{ change: 'range', version: 2n, offset: 3000000, data: <Buffer 21> }\n");
});

test("so does what the project's README has for Node.js", async () => {
  const [, code] = /```js\n([\s\S]*?)```/.exec(readFileSync(`${here}../../README.md`, "utf8"));
  const end = "console.log(map.length); await Promise.all([joiner.close(), host.close()]);";
  writeFileSync(join(project, "readme.mjs"), code.replaceAll("127.0.0.1:7420", server.address) + end);
  assert.equal(node(["readme.mjs"], project), "3000000\n");
});
