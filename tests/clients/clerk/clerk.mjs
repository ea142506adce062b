// Clerk's own backend library against the development issuer: its tokens are accepted, and its answers
// understood. What the issuer gives out is made here through its own endpoints, with the secret key.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createClerkClient, verifyToken } from "@clerk/backend";
import { check, finish, url } from "../checks.mjs";

const ada = "user_2RfWKJREkjKbHZy0Wqa5qrHeAnb";
const client = "@clerk/backend";

const described = await (await fetch(new URL("/.well-known/oauth-protected-resource", url))).json();
const [issuer] = described.authorization_servers;
const { host, port } = new URL(issuer);

// Where the host leaves the key for `cloister token`.
const folders = [process.env.XDG_RUNTIME_DIR, process.env.XDG_CACHE_HOME, join(homedir(), ".cache"), join(homedir(), "Library/Caches")];
const keyFile = folders.filter(Boolean).map((folder) => join(folder, `cloister/issuer-${port}.key`)).find(existsSync);
assert.ok(keyFile, "the secret key of the issuer is not where `cloister token` finds it");
const secretKey = readFileSync(keyFile, "utf8");
const publishableKey = `pk_test_${Buffer.from(`${host}$`).toString("base64")}`;
const clerk = createClerkClient({ secretKey, publishableKey, apiUrl: issuer, telemetry: { disabled: true } });

/** Asks the issuer for what Clerk's library has no function for. */
async function ask(method, path, body) {
  const answer = await fetch(issuer + path, {
    method,
    headers: { Authorization: `Bearer ${secretKey}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path} answers ${answer.status}`);
  return answer.json();
}
const mint = (wanted) => ask("POST", "/development/token", { sub: ada, ...wanted });
const verify = (token) => verifyToken(token, { secretKey, apiUrl: issuer, issuer, skipJwksCache: true });
const bearer = (token) => new Request("http://127.0.0.1/", { headers: { Authorization: `Bearer ${token}` } });

/** Registers a client with a secret, signs Ada in for it, and gives what the token endpoint gives. */
async function signIn(resource) {
  const redirect = "http://127.0.0.1/callback";
  const registered = await (await fetch(`${issuer}/oauth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ client_name: "Clerk's library", redirect_uris: [redirect] }),
  })).json();
  const verifier = randomBytes(32).toString("base64url");
  let cookie;
  const visit = async (path, form) => {
    const answer = await fetch(new URL(path, issuer), {
      method: form ? "POST" : "GET",
      headers: cookie ? { cookie } : {},
      body: form && new URLSearchParams(form),
      redirect: "manual",
    });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return new URL(answer.headers.get("location"), issuer);
  };
  const wanted = new URLSearchParams({
    response_type: "code",
    client_id: registered.client_id,
    redirect_uri: redirect,
    scope: "openid profile email offline_access",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    resource,
  });
  const request = (await visit(`/oauth/authorize?${wanted}`)).searchParams.get("request");
  await visit("/oauth/sign-in", { request, user: ada });
  const back = await visit("/oauth/consent", { request, decision: "allow" });
  const basic = Buffer.from(`${registered.client_id}:${registered.client_secret}`).toString("base64");
  const answer = await fetch(`${issuer}/oauth/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${basic}` },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: back.searchParams.get("code"),
      redirect_uri: redirect,
      code_verifier: verifier,
    }),
  });
  return answer.json();
}

await check(client, "a session token is verified with the keys of the Backend API", async () => {
  const { token, session_id } = await mint({ session: true });
  const claims = await verify(token);
  assert.deepEqual([claims.sub, claims.sid, claims.iss, claims.v], [ada, session_id, issuer, 2]);
  const state = await clerk.authenticateRequest(bearer(token));
  assert.equal(state.isAuthenticated, true, state.message);
  assert.deepEqual([state.toAuth().userId, state.toAuth().sessionId], [ada, session_id]);
  const [header, payload, signature] = token.split(".");
  const changed = signature.startsWith("A") ? "B" : "A";
  await assert.rejects(verify(`${header}.${payload}.${changed}${signature.slice(1)}`));
});

await check(client, "a template token is verified", async () => {
  const { token } = await mint({});
  assert.equal((await verify(token)).email, "ada@example.test");
});

await check(client, "a user is read, with metadata that was changed", async () => {
  await clerk.users.updateUserMetadata(ada, { privateMetadata: { shelf: 7 } });
  const user = await clerk.users.getUser(ada);
  assert.deepEqual([user.id, user.firstName, user.lastName], [ada, "Ada", "Lovelace"]);
  assert.equal(user.primaryEmailAddress.emailAddress, "ada@example.test");
  assert.equal(user.primaryEmailAddress.verification.status, "verified");
  assert.deepEqual(user.privateMetadata, { shelf: 7 });
  await assert.rejects(clerk.users.getUser("user_unknown"), { status: 404 });
});

await check(client, "sessions are listed, read, refreshed and revoked", async () => {
  const { token, session_id, session_refresh_token } = await mint({ session: true });
  const { data, totalCount } = await clerk.sessions.getSessionList({ userId: ada, status: "active" });
  assert.equal(data[0].id, session_id);
  assert.ok(totalCount >= 1);
  const session = await clerk.sessions.getSession(session_id);
  assert.deepEqual([session.userId, session.status], [ada, "active"]);
  assert.ok(Math.abs(session.createdAt - Date.now()) < 60_000, "times are in milliseconds");

  const made = await clerk.sessions.getToken(session_id);
  assert.equal((await verify(made.jwt)).sid, session_id);
  const template = await clerk.sessions.getToken(session_id, "mcp", 90);
  assert.equal((await verify(template.jwt)).given_name, "Ada");
  const refresh = { expired_token: token, refresh_token: session_refresh_token, request_origin: "http://localhost:3000" };
  const fresh = await clerk.sessions.refreshSession(session_id, { ...refresh, format: "token" });
  assert.equal((await verify(fresh.jwt)).sid, session_id);
  await assert.rejects(clerk.sessions.refreshSession(session_id, { ...refresh, refresh_token: "x" }), { status: 401 });

  assert.equal((await clerk.sessions.revokeSession(session_id)).status, "revoked");
  await assert.rejects(clerk.sessions.getToken(session_id), { status: 404 });
  await assert.rejects(clerk.sessions.refreshSession(session_id, refresh), { status: 401 });
  await assert.rejects(clerk.sessions.getSession("sess_unknown"), { status: 404 });
});

await check(client, "an OAuth access token is a machine's, as a JWT and opaque", async () => {
  for (const jwt of [false, true]) {
    await ask("PATCH", "/v1/instance/oauth_application_settings", { oauth_jwt_access_tokens: jwt });
    const tokens = await signIn("http://localhost:3000/mcp");
    assert.equal(tokens.access_token.startsWith("oat_"), !jwt);
    const state = await clerk.authenticateRequest(bearer(tokens.access_token), { acceptsToken: "oauth_token" });
    assert.equal(state.isAuthenticated, true, state.message);
    const auth = state.toAuth();
    assert.equal(auth.userId, ada);
    assert.deepEqual(auth.scopes, ["openid", "profile", "email", "offline_access"]);
    assert.ok(tokens.refresh_token && tokens.id_token);
  }
  const unknown = await clerk.authenticateRequest(bearer(`oat_${"0".repeat(32)}`), { acceptsToken: "oauth_token" });
  assert.equal(unknown.isAuthenticated, false);
});

await check(client, "an API key is made, verified and revoked", async () => {
  const made = await clerk.apiKeys.create({ name: "robot", subject: ada, scopes: ["mail:read"] });
  const known = await clerk.apiKeys.verify(made.secret);
  assert.deepEqual([known.subject, known.scopes, known.revoked], [ada, ["mail:read"], false]);
  await clerk.apiKeys.revoke({ apiKeyId: made.id });
  assert.equal((await clerk.apiKeys.verify(made.secret)).revoked, true);
});

await check(client, "a key that was withdrawn is good no more", async () => {
  const { token: old } = await mint({});
  await ask("POST", "/development/rotate-key", { old: "keep" });
  const { token: next } = await mint({});
  assert.ok((await verify(old)) && (await verify(next)));
  await ask("POST", "/development/rotate-key", { old: "withdraw" });
  // The library keeps keys that it has seen, by the address that it had them from.
  const apiUrl = issuer.replace("127.0.0.1", "localhost");
  await assert.rejects(verifyToken(next, { secretKey, apiUrl, issuer }), { reason: "jwk-kid-mismatch" });
  const { token: newest } = await mint({});
  assert.equal((await verifyToken(newest, { secretKey, apiUrl, issuer })).sub, ada);
});

finish();
