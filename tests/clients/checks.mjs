// What every client must see of the services `auth`, `demo` and `types`, whichever SDK it is made with.
//
// A client is given as a function `open(token, http)`, with `undefined` for no token, that connects
// and returns `{ version, listTools(), callTool(params), close() }`; into `http` it records the
// status and the challenge of every answer.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** Calls of the service `types`: at least one of each of its tools, and what comes of it. */
export const calls = JSON.parse(readFileSync(new URL("types.json", import.meta.url), "utf8"));

export function setting(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set; tests/clients/run sets it`);
    process.exit(2);
  }
  return value;
}

function user(letter) {
  return {
    token: setting(`HOST_TOKEN_${letter}`),
    id: setting(`HOST_USER_${letter}`),
    email: setting(`HOST_EMAIL_${letter}`),
  };
}

export const url = new URL(setting("HOST_URL"));
export const users = [user("A"), user("B")];
const [first] = users;

const invalidParams = -32602;
const tools = [
  "echo",
  "getAuthInfo",
  "getUserProfile",
  "listSessions",
  "refreshToken",
  "revokeOtherSessions",
  "revokeSession",
];
let passed = 0;
let failed = 0;
/** The check that is under way. */
let doing = "the start";

// No answer is worth waiting for longer than this; the host's own deadlines are far shorter.
setTimeout(() => {
  failed += 1;
  console.log(`FAIL  ${doing}: no end after five minutes`);
  finish();
}, 300_000).unref();

export async function check(client, what, body) {
  doing = `${client}: ${what}`;
  try {
    await body();
    passed += 1;
    console.log(`ok    ${client}: ${what}`);
  } catch (error) {
    failed += 1;
    const reason = String(error?.message ?? error).replaceAll("\n", "\n      ");
    console.log(`FAIL  ${client}: ${what}\n      ${reason}`);
  }
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

/** `fetch`, keeping what the SDKs do not show: the status and the challenge of each answer. */
export function recording(http) {
  return async (input, init) => {
    const answer = await fetch(input, init);
    http.push({ status: answer.status, challenge: answer.headers.get("www-authenticate") });
    return answer;
  };
}

export function assertTools(listed) {
  const names = listed.map((tool) => tool.name);
  assert.deepEqual(names, [...names].sort(), "the list is sorted by name");
  for (const name of tools) {
    const tool = listed.find((tool) => tool.name === name);
    assert.ok(tool, `\`${name}\` is not listed; listed are ${names.join(", ")}`);
    assert.ok(tool.description, `\`${name}\` has no description`);
    assert.equal(tool.inputSchema.type, "object", `the input of \`${name}\``);
    assert.equal(tool.outputSchema?.type, "object", `the output of \`${name}\``);
  }
  const tool = (name) => listed.find((tool) => tool.name === name);
  assert.deepEqual(Object.keys(tool("echo").inputSchema.properties), ["message"], "the caller is no argument");
  assert.deepEqual(tool("echo").inputSchema.required, ["message"]);
  assert.equal(tool("echo").inputSchema.properties.message.minLength, 1);
  assert.ok(tool("echo").inputSchema.properties.message.description, "`message` has no description");
  assert.deepEqual(Object.keys(tool("getUserProfile").inputSchema.properties ?? {}), [], "the caller is no argument");
  assert.ok(tool("refreshToken").outputSchema.properties.access_token, "OAuth's names are kept");
  assert.equal(tool("getUserProfile").annotations?.readOnlyHint, true, "`@readonly` is announced");
}

export function assertAuthInfo(result) {
  const info = succeeded(result);
  assert.ok(info.provider, "a provider is named");
  assert.match(info.issuer, /^https?:\/\//);
  assert.equal(info.tokenRequired, true);
  assert.ok(info.tokenUsage, "it says how to pass a token");
  assert.equal(typeof info.refreshAvailable, "boolean");
}

export function assertProfile(result, user) {
  const profile = succeeded(result);
  assert.equal(profile.userId, user.id);
  assert.equal(profile.email, user.email);
  for (const [field, value] of Object.entries(profile)) {
    assert.ok(value !== null && value !== "undefined", `\`${field}\` is ${value} instead of absent`);
  }
}

export function assertEcho(result, user, message) {
  const said = succeeded(result);
  assert.equal(said.message, message);
  assert.equal(said.userId, user.id);
  assert.equal(said.userEmail, user.email);
  assert.match(said.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  assert.ok(Math.abs(Date.parse(said.timestamp) - Date.now()) < 60_000, `the time is ${said.timestamp}`);
}

/** The service `types` is listed in whole, and `calls` leaves out none of its tools. */
export function assertTypes(listed) {
  const others = new Set(tools);
  const names = listed.map((tool) => tool.name).filter((name) => !others.has(name));
  assert.deepEqual(names, [...new Set(calls.map((call) => call.tool))].sort());
}

/** What came of one of `calls`. */
export function assertCall({ tool, arguments: args, structured, error }, result) {
  const what = `${tool} of ${JSON.stringify(args)}`;
  if (error !== undefined) {
    assert.equal(result.isError, true, what);
    assert.equal(text(result), error, what);
    assert.equal(result.structuredContent, undefined, what);
    return;
  }
  assert.ok(!result.isError, `${what}: ${text(result)}`);
  if (structured === null) {
    assert.equal(result.structuredContent, undefined, what);
    assert.equal(text(result), "ok", what);
    return;
  }
  assert.deepEqual(result.structuredContent, structured, what);
  // The text is the same JSON, or a string that is the whole result.
  if (text(result) !== structured.result) {
    assert.deepEqual(JSON.parse(text(result)), structured, what);
  }
}

function succeeded(result) {
  assert.ok(!result.isError, `the tool failed: ${text(result)}`);
  assert.ok(result.structuredContent, "there is no structuredContent");
  assert.deepEqual(JSON.parse(text(result)), result.structuredContent, "the text says the same");
  return result.structuredContent;
}

export function text(result) {
  return result.content.map((block) => block.text).join("\n");
}

/** Connects, lets `body` use the client, and closes it whatever happens. */
async function using(open, token, body) {
  const client = await open(token);
  try {
    // An SDK validates what a tool returns against the schema that it has seen listed.
    await client.listTools();
    return await body(client);
  } finally {
    await client.close();
  }
}

/** Runs `body`, which must fail because the host answered 401, and returns the challenge. */
async function refused(open, token, body) {
  const http = [];
  await assert.rejects(using((token) => open(token, http), token, body), "the call went through");
  const answer = http.find(({ status }) => status === 401);
  assert.ok(answer, `no answer was 401; the answers were ${http.map(({ status }) => status).join(", ")}`);
  assert.match(answer.challenge ?? "", /^Bearer\b/);
  return answer.challenge;
}

/** Everything that one way of connecting must see. */
export async function judge(client, versions, open) {
  const profile = { name: "getUserProfile", arguments: {} };

  await check(client, "connects and agrees on a revision", () =>
    using(open, undefined, ({ version }) => assert.ok(versions.includes(version), `agreed on ${version}`)),
  );
  await check(client, "lists the tools without a token", () =>
    using(open, undefined, async (caller) => assertTools((await caller.listTools()).tools)),
  );
  await check(client, "lists every tool of the service with all types", () =>
    using(open, undefined, async (caller) => assertTypes((await caller.listTools()).tools)),
  );
  // The SDK validates each of them against the listed schema, with its own validator.
  await check(client, "every type comes back valid", () =>
    using(open, first.token, async (caller) => {
      for (const call of calls) {
        const { tool: name, arguments: args } = call;
        assertCall(call, await caller.callTool({ name, arguments: args }));
      }
    }),
  );
  await check(client, "getAuthInfo answers without a token", () =>
    using(open, undefined, async (caller) =>
      assertAuthInfo(await caller.callTool({ name: "getAuthInfo", arguments: {} })),
    ),
  );
  for (const user of users) {
    await check(client, `getUserProfile shows ${user.id} itself`, () =>
      using(open, user.token, async (caller) => assertProfile(await caller.callTool(profile), user)),
    );
    await check(client, `echo says that ${user.id} spoke`, () =>
      using(open, user.token, async (caller) => {
        const message = `Grüße, 世界: "${user.id}"\n\u0000\u{1F54A}`;
        assertEcho(await caller.callTool({ name: "echo", arguments: { message } }), user, message);
      }),
    );
  }
  await check(client, "forty calls of two users at once stay apart", async () => {
    const callers = await Promise.all(users.map(async (user) => ({ user, caller: await open(user.token) })));
    try {
      await Promise.all(callers.map(({ caller }) => caller.listTools()));
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const { user, caller } = callers[n % callers.length];
          const message = `${n}`;
          assertEcho(await caller.callTool({ name: "echo", arguments: { message } }), user, message);
        }),
      );
    } finally {
      await Promise.all(callers.map(({ caller }) => caller.close()));
    }
  });
  await check(client, "a token in _meta is a token", () =>
    using(open, undefined, async (caller) => {
      const _meta = { authorization: { type: "bearer", token: first.token } };
      assertProfile(await caller.callTool({ ...profile, _meta }), first);
    }),
  );
  await check(client, "a wrong token in _meta is an error the model can read", () =>
    using(open, undefined, async (caller) => {
      const _meta = { authorization: { token: `${first.token}x` } };
      const result = await caller.callTool({ ...profile, _meta });
      assert.equal(result.isError, true);
      assert.ok(!JSON.stringify(result).includes(first.token), "the answer repeats the token");
    }),
  );
  await check(client, "without a token, a protected tool is 401", async () => {
    const challenge = await refused(open, undefined, (caller) => caller.callTool(profile));
    assert.ok(!challenge.includes("error="), `nothing is wrong with no token, but: ${challenge}`);
  });
  await check(client, "with a wrong token, it is 401 as well", async () => {
    const challenge = await refused(open, `${first.token}x`, (caller) => caller.callTool(profile));
    assert.ok(challenge.includes('error="invalid_token"'), challenge);
  });
  await check(client, "an empty message is an error the model can read", () =>
    using(open, first.token, async (caller) => {
      const result = await caller.callTool({ name: "echo", arguments: { message: "" } });
      assert.equal(result.isError, true);
      assert.match(text(result), /message/);
    }),
  );
  await check(client, "an unknown refresh token is refused by the tool", () =>
    using(open, undefined, async (caller) => {
      const result = await caller.callTool({ name: "refreshToken", arguments: { refreshToken: "unknown" } });
      assert.equal(result.isError, true);
      assert.ok(text(result).length > 0);
    }),
  );
  await check(client, `an unknown tool is ${invalidParams}`, () =>
    using(open, first.token, async (caller) => {
      await assert.rejects(caller.callTool({ name: "noSuchTool", arguments: {} }), { code: invalidParams });
    }),
  );
}
