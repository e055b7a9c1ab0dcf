// Builds, runs all tests, and plays the conformance suite where NETSWAP_CONFORMANCE names its program.
// NETSWAP_BIN names the server; without it that of cargo is taken.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const run = (program, args) => {
  const { status, stdout } = spawnSync(program, args, { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (status !== 0) process.stdout.write(stdout ?? "");
  return { passed: status === 0, stdout: stdout ?? "" };
};
const node = (...args) => run(process.execPath, args);

if (!existsSync(`${here}node_modules/typescript`)) {
  console.error("the tools are not installed: run `npm ci` first");
  process.exit(1);
}
if (!node("scripts/build.mjs").passed) process.exit(1);

const files = readdirSync(`${here}test`).filter((name) => name.endsWith(".test.mjs")).map((name) => `test/${name}`);
const tests = node("--test", "--test-reporter=tap", ...files);
const count = (name) => Number(new RegExp(`^# ${name} (\\d+)`, "m").exec(tests.stdout)?.[1] ?? 0);
const skipped = count("skipped") > 0 ? `, ${count("skipped")} skipped` : "";
const words = [`${count("pass")} tests passed, ${count("fail") + count("cancelled")} failed${skipped}`];
let passed = tests.passed;

const suite = process.env.NETSWAP_CONFORMANCE;
if (suite) {
  const cases = fileURLToPath(new URL("../../../conformance/client", import.meta.url));
  const played = run(suite, ["--cases", cases, "--client", `${process.execPath} ${here}driver.mjs`]);
  words.push(/(\d+ passed, \d+ failed.*)$/m.exec(played.stdout)?.[1] ?? "the conformance suite did not run");
  passed &&= played.passed;
} else {
  words.push("not played: NETSWAP_CONFORMANCE does not name the suite's program");
}
console.log(`node: ${words[0]}; conformance: ${words[1]}`);
process.exit(passed ? 0 : 1);
