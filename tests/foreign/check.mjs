// Uses a service that was written in JavaScript, and that nothing of this project has been in.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const url = process.env.HOST_URL;
let passed = 0;
let failed = 0;

async function send(method, params) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return (await answer.json()).result;
}

async function check(what, run) {
  try {
    await run();
    passed += 1;
  } catch (cause) {
    failed += 1;
    console.log(`FAIL  ${what}: ${cause.message}`);
  }
}

await check('its functions are tools, with the words beside it, and nothing else is', async () => {
  const { tools } = await send('tools/list', {});
  assert.deepEqual(
    tools.map(({ name, description }) => [name, description]),
    [
      ['countWords', 'Counts words.'],
      ['firstLetter', 'Does not know what to do without a letter.'],
      ['shout', 'Fails for an empty text.'],
    ],
  );
  assert.deepEqual(tools[2].inputSchema.required, ['text']);
});

await check('a record comes back, and an option that is none is left out', async () => {
  const some = await send('tools/call', { name: 'countWords', arguments: { text: 'to be or not' } });
  assert.deepEqual(some.structuredContent, { words: 4, longest: 'not' });
  const none = await send('tools/call', { name: 'count_words', arguments: { text: ' ' } });
  assert.deepEqual(none.structuredContent, { words: 0 });
});

await check('what it throws is an error of the tool', async () => {
  const loud = await send('tools/call', { name: 'shout', arguments: { text: 'hey', ref: true } });
  assert.deepEqual(loud.structuredContent, { result: 'HEY!' });
  const silent = await send('tools/call', { name: 'shout', arguments: { text: '' } });
  assert.equal(silent.isError, true);
  assert.equal(silent.content[0].text, 'nothing to shout');
});

await check('what goes wrong in it is told with its place, to callers and in the log', async () => {
  const found = await send('tools/call', { name: 'firstLetter', arguments: { text: '1a' } });
  assert.deepEqual(found.structuredContent, { result: 'a' });
  const lost = await send('tools/call', { name: 'firstLetter', arguments: { text: '1' } });
  assert.equal(lost.isError, true);
  const log = await readFile(process.env.HOST_LOG, 'utf8');
  const lines = log.split('\n').filter((line) => line.includes('a call gave no result'));
  assert.equal(lines.length, 1, log);
  for (const told of [lost.content[0].text, lines[0]]) {
    assert.match(told, /it panicked or aborted; it said: .*cannot read property '0' of null/);
    assert.match(told, /at firstLetter \(\/text\.js:\d+:\d+\)/);
  }
  assert.match(lines[0], / service=text /);
});

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
