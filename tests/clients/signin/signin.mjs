// A standard client signs its user in, knowing nothing but the address of the endpoint: the official
// TypeScript client finds out where and how, registers itself, and a browser goes through the pages of
// the development issuer, as the user would.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { chromium } from "playwright-core";
import { check, finish, recording, setting, url } from "../checks.mjs";

const name = "TypeScript 2.x and a browser";
// Chromium does not run as root with its sandbox.
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: setting("HOST_BROWSER"), args });

/** The program on the user's computer that the answer comes back to. A browser asks it for an icon, too. */
const answers = [];
const callback = createServer(async (request, answer) => {
  const { pathname, searchParams } = new URL(request.url, redirectUrl);
  if (pathname === "/callback") {
    const form = new URLSearchParams(await text(request));
    answers.push(request.method === "POST" ? form : searchParams);
    answer.end("Signed in. You can close this page.");
  } else {
    answer.writeHead(204).end();
  }
});
await new Promise((listening) => callback.listen(0, "127.0.0.1", listening));
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;

/** What a client keeps: all of it comes from the server. */
function keeper() {
  const kept = {};
  return {
    kept,
    redirectUrl,
    clientMetadata: {
      client_name: "Cloister's tests",
      redirect_uris: [redirectUrl],
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      scope: "profile email",
    },
    state: () => (kept.state = crypto.randomUUID()),
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    redirectToAuthorization: (address) => void (kept.address = address),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    saveDiscoveryState: (discovered) => void (kept.discovered = discovered),
    discoveryState: () => kept.discovered,
  };
}

/** Goes through the pages with these buttons, and gives what the client is told at the end. */
async function goThrough(context, address, buttons) {
  const page = await context.newPage();
  const mistakes = [];
  page.on("console", (message) => message.type() === "error" && mistakes.push(message.text()));
  await page.goto(address.href);
  for (const button of buttons) {
    await page.getByRole("button", { name: button }).click();
  }
  // The browser has to be there, not only on its way: a page that is closed under way may never close.
  await page.waitForURL(`${redirectUrl}**`, { waitUntil: "load" }).catch(() => {
    assert.fail(`the browser stayed at ${page.url()}, and said ${JSON.stringify(mistakes)}`);
  });
  await page.close();
  assert.deepEqual(mistakes, [], "what the browser says of the pages");
  assert.equal(answers.length, 1, "how often the client was told");
  return answers.pop();
}

const person = await browser.newContext();
const provider = keeper();
const http = [];
const client = new Client({ name: "cloister-tests", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(url, { authProvider: provider, fetch: recording(http) });
const profile = () => client.callTool({ name: "getUserProfile", arguments: {} });

await check(name, "signs in from nothing and calls a protected tool", async () => {
  await client.connect(transport);
  await assert.rejects(profile(), UnauthorizedError);
  assert.ok(http.some(({ status, challenge }) => status === 401 && challenge?.includes("resource_metadata")));
  assert.equal(provider.kept.address.searchParams.get("resource"), url.href);

  const answer = await goThrough(person, provider.kept.address, [/Grace Hopper/, "Allow"]);
  assert.equal(answer.get("state"), provider.kept.state);
  await transport.finishAuth(answer);
  const result = await profile();
  assert.ok(!result.isError, JSON.stringify(result));
  assert.equal(result.structuredContent.userId, "user_2RfWKJREkjKbHZy0Wqa5qrHeGrc");
});

await check(name, "stays signed in in the browser, and may say no", async () => {
  const other = keeper();
  const stranger = new Client({ name: "cloister-tests", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(url, { authProvider: other });
  await stranger.connect(transport);
  await assert.rejects(stranger.callTool({ name: "getUserProfile", arguments: {} }), UnauthorizedError);
  const answer = await goThrough(person, other.kept.address, ["Deny"]);
  assert.equal(answer.get("error"), "access_denied");
  await assert.rejects(transport.finishAuth(answer));
  await stranger.close();
});

await check(name, "is told by a form that the browser sends, where it wants that", async () => {
  const other = keeper();
  const stranger = new Client({ name: "cloister-tests", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(url, { authProvider: other });
  await stranger.connect(transport);
  const call = { name: "getUserProfile", arguments: {} };
  await assert.rejects(stranger.callTool(call), UnauthorizedError);
  other.kept.address.searchParams.set("response_mode", "form_post");
  const answer = await goThrough(person, other.kept.address, ["Allow"]);
  assert.equal(answer.get("state"), other.kept.state);
  await transport.finishAuth(answer);
  const result = await stranger.callTool(call);
  assert.equal(result.structuredContent.userId, "user_2RfWKJREkjKbHZy0Wqa5qrHeGrc");
  await stranger.close();
});

await client.close();
await browser.close();
callback.close();
finish();
