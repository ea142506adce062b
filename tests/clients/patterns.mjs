// Asks a real engine of ECMA-262 about every pattern of patterns.json: those that the host takes must mean
// there what the host takes them for, and those that it refuses must be no expressions there, or be among
// the few that it could not match in the same way.

import { readFileSync } from 'node:fs';

const { taken, refused } = JSON.parse(readFileSync(new URL('patterns.json', import.meta.url)));

// Expressions there, and none that this host has.
const beyond = [
  '(?<é>x)', '[a-z&&b]', '[a~~b]', '\\p{Script=Grek}', '\\p{Alphabetic}', '\\p{Any}', '\\B', '(?=a)',
  '(?!a)', '(?<=a)', '(a)\\1', '\\cA', '\\0',
];

let passed = 0;
const failures = [];

function judge(is, what) {
  if (is) passed += 1;
  else failures.push(what);
}

function compiled(pattern) {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return null;
  }
}

for (const [pattern, matching, others] of taken) {
  const expression = compiled(pattern);
  judge(expression, `${pattern} is no expression`);
  for (const text of matching) judge(expression?.test(text), `${pattern} on ${JSON.stringify(text)}`);
  for (const text of others) judge(!expression?.test(text), `${pattern} on ${JSON.stringify(text)}`);
}
for (const pattern of refused) {
  judge(!compiled(pattern) || beyond.includes(pattern), `${pattern} is an expression`);
}

for (const failure of failures) console.log(`FAIL  ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
