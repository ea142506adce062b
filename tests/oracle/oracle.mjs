// Makes tokens, has them judged by Clerk's SDK and by hosts of two policies, and compares.

import { spawn } from "node:child_process";
import { createHmac, constants, generateKeyPairSync, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { verifyToken } from "@clerk/backend";
import { verifyMachineAuthToken } from "@clerk/backend/internal";

const [program, folder, count = "2000", seed = "1"] = process.argv.slice(2);
const deviations = JSON.parse(await readFile(new URL("deviations.json", import.meta.url)));

const APP = "https://app.example.test";
const RESOURCE = "https://mcp.example.test/mcp";
const CLIENT = "client_2xhFjEI5X2qWRvtV";
const USER = "user_2RfWKJREkjKbHZy0Wqa5qrHeAnb";
const SESSION = "sess_2Ro7e2IxrffdqBboq8KfB6eGbIy";
const CAT = {
  session: "cl_B7d4PD111AAA",
  template: "cl_B7d4PD222AAA",
  machine: "cl_B7d4PD333AAA",
  none: "cl_I7d4PD111III",
};

// The issuer: its keys and nothing else.

const rsa = (modulusLength = 2048) => generateKeyPairSync("rsa", { modulusLength });
const keys = {
  main: rsa(),
  weak: rsa(1024),
  enc: rsa(),
  plain: rsa(),
  first: rsa(),
  last: rsa(),
  attacker: rsa(),
  ec: generateKeyPairSync("ec", { namedCurve: "P-256" }),
};
const published = (kid, key, members) => ({
  ...key.publicKey.export({ format: "jwk" }),
  kid,
  ...members,
});
const SIG = { use: "sig", alg: "RS256" };
const jwks = JSON.stringify({
  keys: [
    published("ins_main", keys.main, SIG),
    published("ins_weak", keys.weak, SIG),
    published("ins_enc", keys.enc, { use: "enc", alg: "RSA-OAEP" }),
    published("ins_plain", keys.plain),
    published("ins_ec", keys.ec, { use: "sig", alg: "ES256" }),
    published("ins_dup", keys.first, SIG),
    published("ins_dup", keys.last, SIG),
  ],
});
const server = createServer((request, response) => {
  const found = request.url.endsWith("/jwks.json") || request.url === "/v1/jwks";
  response.writeHead(found ? 200 : 404, { "Content-Type": "application/json" });
  response.end(found ? jwks : JSON.stringify({ errors: [{ code: "resource_not_found" }] }));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

// The hosts: one that names the applications whose tokens count, and one that takes id tokens and whatever
// application. What each tells the SDK is what it is told itself.

const policies = {
  strict: {
    environment: { CLERK_AUTHORIZED_PARTIES: APP },
    options: { audience: RESOURCE, authorizedParties: [APP] },
  },
  open: {
    environment: { CLERK_ID_TOKEN_AUDIENCES: CLIENT },
    options: { audience: [RESOURCE, CLIENT] },
  },
};
for (const policy of Object.values(policies)) {
  policy.host = spawn(program, ["--listen", "127.0.0.1:0", "--mcp-dir", "mcp"], {
    cwd: folder,
    env: {
      ...process.env,
      CLERK_ISSUER: issuer,
      CLOISTER_PUBLIC_URL: RESOURCE,
      CLOISTER_STATE_DIR: "none",
      ...policy.environment,
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  policy.endpoint = await new Promise((found, lost) => {
    policy.host.on("exit", () => lost(new Error("the host ended")));
    createInterface({ input: policy.host.stdout }).on("line", (line) => {
      const [, url] = line.match(/^ *endpoint +(\S+)/) ?? [];
      if (url) found(url);
    });
  });
}

// What can be signed.

const now = Math.floor(Date.now() / 1000);
const times = (lifetime, before) => ({ exp: now + lifetime, iat: now, nbf: now - before });
const session = {
  header: { alg: "RS256", kid: "ins_main", typ: "JWT", cat: CAT.session },
  payload: {
    azp: APP, ...times(3600, 10), fva: [7, -1], iss: issuer, jti: "d5e1b2c3a4f60718",
    sid: SESSION, sts: "active", sub: USER, v: 2,
  },
};
const without = (object, ...names) =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
const bases = {
  "session": session,
  "session v1": {
    header: without(session.header, "cat"),
    payload: {
      ...without(session.payload, "v", "sts", "fva", "jti"),
      org_id: "org_1", org_role: "org:admin", org_permissions: ["org:mail:read"],
    },
  },
  "template": {
    header: { ...session.header, cat: CAT.template },
    payload: {
      ...without(session.payload, "sid", "v", "sts", "fva"),
      email: "ada@example.test", email_verified: true, given_name: "Ada",
    },
  },
  "oauth": {
    header: { alg: "RS256", kid: "ins_main", typ: "at+jwt" },
    payload: {
      client_id: CLIENT, ...times(86_400, 10), iss: issuer, scope: "profile email", sub: USER,
      jti: "oat_0123456789abcdef0123456789abcdef", aud: [RESOURCE],
    },
  },
  "id token": {
    header: { alg: "RS256", kid: "ins_main", typ: "JWT" },
    payload: { aud: CLIENT, ...times(86_400, 10), iss: issuer, nonce: "n", sub: USER, sid: SESSION },
  },
  "machine": {
    header: { ...session.header, cat: CAT.machine },
    payload: { iss: issuer, sub: "mch_1", aud: ["mch_2"], ...times(300, 10), scopes: "mch_2" },
  },
};

// What can be done to a token. Times keep three seconds away from the edges, since both judge by the
// clock on the wall.

const head = (members) => (draft) => Object.assign(draft.header, members);
const claim = (members) => (draft) => Object.assign(draft.payload, members);
const drop = (part, name) => (draft) => delete draft[part][name];
const by = (key, kid) => (draft) => {
  draft.key = keys[key];
  if (kid) draft.header.kid = kid;
};
const text = (part, change) => (draft) => (draft.text[part] = change);
const finish = (change) => (draft) => draft.finish.push(change);
const segment = (at, change) => finish((token) => {
  const segments = token.split(".");
  segments[at] = change(segments[at] ?? "");
  return segments.join(".");
});
const own = (name, key) => (draft) => {
  draft.header[name] = keys[key].publicKey.export({ format: "jwk" });
  draft.key = keys[key];
};
const changes = {
  "alg none": head({ alg: "none" }),
  "alg RS512": head({ alg: "RS512" }),
  "alg HS256": (draft) => Object.assign(draft, { hmac: true }) && head({ alg: "HS256" })(draft),
  "alg PS256": (draft) => Object.assign(draft, { pss: true }) && head({ alg: "PS256" })(draft),
  "alg missing": drop("header", "alg"),
  "PSS under RS256": (draft) => (draft.pss = true),
  "typ missing": drop("header", "typ"),
  "typ lower case": head({ typ: "jwt" }),
  "typ JWT": head({ typ: "JWT" }),
  "typ at+jwt": head({ typ: "at+jwt" }),
  "typ application/at+jwt": head({ typ: "application/at+jwt" }),
  "typ logout+jwt": head({ typ: "logout+jwt" }),
  "typ number": head({ typ: 7 }),
  "cat missing": drop("header", "cat"),
  "cat session": head({ cat: CAT.session }),
  "cat template": head({ cat: CAT.template }),
  "cat machine": head({ cat: CAT.machine }),
  "cat none": head({ cat: CAT.none }),
  "cat unknown": head({ cat: "cl_unknown" }),
  "kid missing": drop("header", "kid"),
  "kid unknown": head({ kid: "ins_unknown" }),
  "kid with space": head({ kid: "ins main" }),
  "crit": head({ crit: ["x"], x: 1 }),
  "b64": head({ b64: true }),
  "zip": head({ zip: "DEF" }),
  "own jwk": own("jwk", "main"),
  "foreign jwk": own("jwk", "attacker"),
  "jku": head({ jku: "https://evil.example/jwks.json" }),
  "x5u": head({ x5u: "https://evil.example/c.pem" }),
  "unknown parameter": head({ oiat: now, something: { new: true } }),
  "alg twice": text("header", (json) => json.replace("{", '{"alg":"none",')),
  "header BOM": text("header", (json) => `\u{feff}${json}`),
  "header list": text("header", () => "[]"),
  "foreign key": by("attacker"),
  "weak key": by("weak", "ins_weak"),
  "encryption key": by("enc", "ins_enc"),
  "plain key": by("plain", "ins_plain"),
  "first of two keys": by("first", "ins_dup"),
  "last of two keys": by("last", "ins_dup"),
  "elliptic kid": head({ kid: "ins_ec" }),
  "iss missing": drop("payload", "iss"),
  "iss foreign": claim({ iss: "https://evil.example" }),
  "iss slash": claim({ iss: `${issuer}/` }),
  "iss list": claim({ iss: [issuer] }),
  "iss null": claim({ iss: null }),
  "sub missing": drop("payload", "sub"),
  "sub empty": claim({ sub: "" }),
  "sub number": claim({ sub: 7 }),
  "sub control": claim({ sub: "user_\u0000" }),
  "sub long": claim({ sub: "u".repeat(257) }),
  "sub machine": claim({ sub: "mch_1" }),
  "sub other": claim({ sub: "user_other" }),
  "sub twice": text("payload", (json) => json.replace("{", '{"sub":"user_admin",')),
  "exp missing": drop("payload", "exp"),
  "exp null": claim({ exp: null }),
  "exp text": claim({ exp: `${now + 60}` }),
  "exp past": claim({ exp: now - 8, iat: now - 120, nbf: now - 130 }),
  "exp long past": claim({ exp: now - 86_400, iat: now - 90_000, nbf: now - 90_000 }),
  "exp milliseconds": claim({ exp: (now + 60) * 1000 }),
  "exp fraction": claim({ exp: now + 3600.5 }),
  "exp huge": claim({ exp: 1e18 }),
  "exp negative": claim({ exp: -1 }),
  "nbf missing": drop("payload", "nbf"),
  "nbf soon": claim({ nbf: now + 2 }),
  "nbf later": claim({ nbf: now + 600 }),
  "nbf null": claim({ nbf: null }),
  "nbf text": claim({ nbf: "now" }),
  "iat missing": drop("payload", "iat"),
  "iat later": claim({ iat: now + 600 }),
  "iat text": claim({ iat: "now" }),
  "iat null": claim({ iat: null }),
  "azp missing": drop("payload", "azp"),
  "azp foreign": claim({ azp: "https://evil.example" }),
  "azp list": claim({ azp: [APP] }),
  "azp slash": claim({ azp: `${APP}/` }),
  "azp empty": claim({ azp: "" }),
  "aud missing": drop("payload", "aud"),
  "aud ours": claim({ aud: RESOURCE }),
  "aud ours among others": claim({ aud: ["https://b.example", RESOURCE] }),
  "aud foreign": claim({ aud: "https://b.example" }),
  "aud slash": claim({ aud: `${RESOURCE}/` }),
  "aud empty": claim({ aud: "" }),
  "aud empty list": claim({ aud: [] }),
  "aud mixed": claim({ aud: [RESOURCE, 7] }),
  "aud number": claim({ aud: 7 }),
  "aud null": claim({ aud: null }),
  "sid missing": drop("payload", "sid"),
  "sid number": claim({ sid: 7 }),
  "sid there": claim({ sid: SESSION }),
  "sts pending": claim({ sts: "pending" }),
  "sts other": claim({ sts: "other" }),
  "sts missing": drop("payload", "sts"),
  "client_id missing": drop("payload", "client_id"),
  "client_id there": claim({ client_id: CLIENT }),
  "client_id empty": claim({ client_id: "" }),
  "scope missing": drop("payload", "scope"),
  "scp": claim({ scp: ["profile"] }),
  "events": claim({ events: {} }),
  "cnf": claim({ cnf: { jkt: "x" } }),
  "actor": claim({ act: { iss: "https://dashboard.clerk.com", sid: "sess_9", sub: "user_9" } }),
  "version unknown": claim({ v: 3 }),
  "organization": claim({ v: 2, fea: "o:mail", o: { id: "org_1", rol: "admin", per: "read", fpm: "1" } }),
  "long claim": claim({ more: "x".repeat(20_000) }),
  "payload BOM": text("payload", (json) => `\u{feff}${json}`),
  "payload list": text("payload", () => "[]"),
  "payload more": text("payload", (json) => `${json}{}`),
  "payload spaces": text("payload", (json) => ` ${json}\n`),
  "payload lone surrogate": text("payload", (json) => json.replace("{", '{"x":"\\ud800",')),
  "payload deep": text("payload", (json) => json.replace("{", `{"x":${"[".repeat(200)}${"]".repeat(200)},`)),
  "payload swapped": segment(1, (payload) =>
    encode(Buffer.from(payload, "base64url").toString().replace(/user_\w*|$/, "user_admin"))),
  "signature cut": segment(2, (signature) => encode(Buffer.from(signature, "base64url").subarray(0, -1))),
  "signature longer": segment(2, (signature) => encode(Buffer.concat([Buffer.from(signature, "base64url"), Buffer.of(0)]))),
  "signature empty": segment(2, () => ""),
  "signature zero": segment(2, () => encode(Buffer.alloc(256))),
  "signature padded": finish((token) => `${token}==`),
  "signature standard alphabet": segment(2, (signature) => signature.replaceAll("-", "+").replaceAll("_", "/")),
  "signature stray bits": segment(2, (signature) => signature.slice(0, -1) + (signature.endsWith("A") ? "B" : "A")),
  "header padded": segment(0, (header) => header + "=".repeat((4 - (header.length % 4)) % 4)),
  "line break": finish((token) => `${token}\n`),
  "space": finish((token) => ` ${token}`),
  "scheme": finish((token) => `Bearer ${token}`),
  "two parts": finish((token) => token.split(".").slice(0, 2).join(".")),
  "four parts": finish((token) => `${token}.`),
  "five parts": finish((token) => `${token}.a.b`),
};

function encode(bytes) {
  return Buffer.from(bytes).toString("base64url");
}

function make(base, names) {
  const draft = { ...structuredClone(bases[base]), key: keys.main, text: {}, finish: [] };
  for (const name of names) changes[name](draft);
  const part = (name) => {
    const json = JSON.stringify(draft[name]);
    return encode(draft.text[name]?.(json) ?? json);
  };
  const message = `${part("header")}.${part("payload")}`;
  const padding = draft.pss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const signature = draft.hmac
    ? createHmac("sha256", keys.main.publicKey.export({ type: "spki", format: "pem" })).update(message).digest()
    : sign("sha256", Buffer.from(message), { key: draft.key.privateKey, padding, saltLength: 32 });
  return draft.finish.reduce((token, change) => change(token), `${message}.${encode(signature)}`);
}

// Every change of every base, and then two at a time, as the seed has it.

let state = Number(seed) >>> 0;
function random(below) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}
const pick = (object) => Object.keys(object)[random(Object.keys(object).length)];
const cases = [];
for (const base of Object.keys(bases)) {
  cases.push([base, []]);
  for (const name of Object.keys(changes)) cases.push([base, [name]]);
}
// A session token in an OAuth token's clothes.
for (const typ of ["typ at+jwt", "typ application/at+jwt"]) cases.push(["session", [typ, "aud ours"]]);
// Another's key in the header of a token that is signed well.
cases.push(["session", ["foreign jwk", "plain key"]]);
while (cases.length < Number(count)) cases.push([pick(bases), [pick(changes), pick(changes)]]);

// The two opinions.

/** The subject of a token that Clerk accepts in one of its ways. */
async function clerk(token, policy) {
  const common = { secretKey: "sk_test_oracle", apiUrl: issuer, clockSkewInMs: 5_000 };
  try {
    const claims = await verifyToken(token, { ...common, issuer, ...policy.options });
    return claims.sub;
  } catch {
    // It may still be a token of the other family.
  }
  try {
    const { data, errors } = await verifyMachineAuthToken(token, { ...common, audience: RESOURCE });
    return errors ? undefined : (data?.subject ?? undefined);
  } catch {
    return undefined;
  }
}

/** The subject of a token that the host accepts. */
async function ours(token, { endpoint }) {
  const inHeader = /^[\x21-\x7e]{1,8000}$/.test(token);
  const params = { name: "getUserProfile", arguments: {} };
  if (!inHeader) params._meta = { authorization: { type: "bearer", token } };
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "MCP-Protocol-Version": "2025-06-18",
      ...(inHeader ? { Authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  const body = await response.json();
  if (response.status === 401 || response.status === 400) return undefined;
  if (response.status !== 200) throw new Error(`the host answers ${response.status}`);
  if (body.result.isError) {
    if (body.result._meta?.["cloister/auth"]?.code === "INVALID_TOKEN") return undefined;
    throw new Error(JSON.stringify(body));
  }
  return body.result.structuredContent.userId;
}

const failures = [];
const used = new Set();
for (const [policy, of] of Object.entries(policies)) {
  const tally = { accepted: 0, refused: 0, stricter: 0 };
  for (const [base, names] of cases) {
    const token = make(base, names);
    const [theirs, mine] = await Promise.all([clerk(token, of), ours(token, of)]);
    const name = [base, ...names].join(" + ");
    if (theirs === mine) {
      tally[mine === undefined ? "refused" : "accepted"] += 1;
    } else if (mine !== undefined) {
      failures.push(
        `${policy}: ${name}: the host accepts it as ${mine}, and Clerk ${theirs === undefined ? "refuses it" : `as ${theirs}`}`,
      );
    } else {
      const reasons = [base, ...names.map((change) => `${base} + ${change}`), ...names];
      const reason = reasons
        .flatMap((reason) => [reason, `${policy}: ${reason}`])
        .find((reason) => deviations[reason]);
      if (reason) {
        used.add(reason);
        tally.stricter += 1;
      } else {
        failures.push(
          `${policy}: ${name}: Clerk accepts it, and the host refuses it for no reason in deviations.json`,
        );
      }
    }
  }
  of.host.removeAllListeners("exit");
  of.host.kill();
  if (tally.accepted < 20) failures.push(`${policy}: only ${tally.accepted} tokens are good at all`);
  console.log(
    `${policy}: ${cases.length} tokens: ${tally.accepted} accepted by both, ${tally.refused} refused by both, ${tally.stricter} refused by the host alone`,
  );
}
for (const reason of Object.keys(deviations)) {
  if (!used.has(reason)) failures.push(`deviations.json: nothing deviates for \`${reason}\``);
}
server.close();
server.closeAllConnections();
for (const failure of failures) console.error(failure);
console.log(`${failures.length} failures`);
process.exitCode = failures.length > 0 ? 1 : 0;
