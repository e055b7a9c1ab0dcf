// Builds the package: CommonJS and an ES module over it, with types for both, from one run of the compiler.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${here}dist`, { recursive: true, force: true });
const tsc = fileURLToPath(new URL("bin/tsc", `file://${createRequire(import.meta.url).resolve("typescript/package.json")}`));
execFileSync(process.execPath, [tsc, "-p", here], { stdio: "inherit" });
for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) {
  const from = `${here}../../${name}`;
  if (existsSync(from)) copyFileSync(from, `${here}${name}`);
}
