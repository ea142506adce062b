// Reads what the suite found, and says how much of it is good: a table of counts, and above it every
// check that failed or warned, with what the suite saw.
//
//   node report.mjs target/conformance/results required-2026-07-28 …

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

// Extensions that Cloister does not offer. The suite runs their scenarios all the same.
const extensions = { "tasks-": "tasks (SEP-2663)", "sep-2640-": "skills (SEP-2640)" };

const [results, ...runs] = process.argv.slice(2);
const rows = [];
const faults = [];
const left = new Map();

for (const run of runs) {
  const log = existsSync(join(results, `${run}.log`)) ? readFileSync(join(results, `${run}.log`), "utf8") : "";
  const row = { run, scenarios: 0, passed: 0, failed: 0, warnings: 0, skipped: 0 };
  rows.push(row);
  const fault = (scenario, text) => {
    row.failed += 1;
    faults.push(`${run}: ${scenario}: ${text}`);
  };

  const found = scenarios(join(results, run));
  // A scenario that broke down leaves no file behind, only what it said.
  const announced = [...log.matchAll(/^(?:=== )?Running (?:client )?(?:scenario:? )'?([\w-]+)'?/gm)].map(([, name]) => name);
  for (const scenario of announced) {
    if (!found.has(scenario) && !extension(scenario)) fault(scenario, "it did not come to an end");
  }
  const promised = Number(log.match(/^Running .* \((\d+) scenarios\)/m)?.[1] ?? 1);
  if (found.size < promised) fault("the suite", `${found.size} of ${promised} scenarios ran; it said, at last:\n${log.trim().slice(-2000)}`);

  for (const [scenario, checks] of found) {
    const name = extension(scenario);
    if (name) {
      left.set(name, (left.get(name) ?? new Set()).add(scenario));
      continue;
    }
    row.scenarios += 1;
    for (const check of checks) {
      const seen = check.details === undefined ? "" : `\n${JSON.stringify(check.details, null, 2).slice(0, 3000)}`;
      const text = `${check.id}: ${check.errorMessage ?? check.description}${seen}`;
      if (check.status === "SUCCESS") row.passed += 1;
      else if (check.status === "SKIPPED") row.skipped += 1;
      else if (check.status === "FAILURE") fault(scenario, text);
      else if (check.status === "WARNING") {
        row.warnings += 1;
        faults.push(`${run}: ${scenario}: warning: ${text}`);
      } else if (check.status !== "INFO") fault(scenario, `${check.id} is ${check.status}`);
    }
    if (checks.every(({ status }) => status === "SKIPPED" || status === "INFO")) fault(scenario, "it checked nothing");
  }
}

/** The checks of each scenario in a folder of results; of one that ran twice, those of both. */
function scenarios(folder) {
  const found = new Map();
  if (!existsSync(folder)) return found;
  for (const name of readdirSync(folder).sort()) {
    const [, scenario] = name.match(/^server-(.+?)-\d{4}-\d\d-\d\dT/) ?? [];
    const file = join(folder, name, "checks.json");
    if (!scenario || !existsSync(file)) continue;
    found.set(scenario, [...(found.get(scenario) ?? []), ...JSON.parse(readFileSync(file, "utf8"))]);
  }
  return found;
}

function extension(scenario) {
  return Object.entries(extensions).find(([prefix]) => scenario.startsWith(prefix))?.[1];
}

for (const fault of faults) console.log(`${fault.replaceAll("\n", "\n    ")}\n`);

const columns = ["run", "scenarios", "passed", "failed", "warnings", "skipped"];
const widths = columns.map((column) => Math.max(...[column, ...rows.map((row) => row[column])].map((it) => `${it}`.length)));
const line = (cells) => cells.map((cell, n) => (n === 0 ? `${cell}`.padEnd(widths[n]) : `${cell}`.padStart(widths[n]))).join("  ");
console.log(line(columns));
for (const row of rows) console.log(line(columns.map((column) => row[column])));
for (const [name, those] of left) console.log(`not counted: ${those.size} scenarios of the extension ${name}, which Cloister does not offer`);

const good = rows.every((row) => row.scenarios > 0 && row.failed === 0 && row.warnings === 0);
process.exit(good ? 0 : 1);
