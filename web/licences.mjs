/** Writes the licences of all bundled packages beside the page: they travel with what was built from them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const packages = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
const parts = [];
for (const [path, entry] of Object.entries(packages)) {
  if (!path || entry.dev || !existsSync(path)) continue;
  const file = readdirSync(path).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file ? readFileSync(join(path, file), "utf8") : "";
  parts.push(`${path.split("node_modules/").at(-1)} ${entry.version} (${entry.license ?? "see below"})\n\n${text.trim()}`);
}
writeFileSync("../src/coread/server/static/licences.txt", `${parts.join(`\n\n${"=".repeat(80)}\n\n`)}\n`);
