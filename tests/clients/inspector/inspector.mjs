// MCP Inspector's command line: what a person uses who wants to look at a server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  assertAuthInfo,
  assertCall,
  assertEcho,
  assertProfile,
  assertTools,
  assertTypes,
  calls,
  check,
  finish,
  text,
  url,
  users,
} from "../checks.mjs";
import { features, program as host } from "../features.mjs";

const program = fileURLToPath(new URL("node_modules/.bin/mcp-inspector", import.meta.url));
// The Inspector keeps its settings and its log-ins in the home directory.
const home = mkdtempSync(join(tmpdir(), "cloister-inspector-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

const [first] = users;

// What it starts for itself, it finds in a file.
const servers = join(home, "servers.json");
const { command, args, cwd, env } = host;
writeFileSync(servers, JSON.stringify({ mcpServers: { features: { type: "stdio", command, args, cwd, env } } }));

/** Runs the Inspector once, and answers with its exit code and what it printed. */
function inspector(era, user, ...args) {
  const header = user ? ["--header", `Authorization: Bearer ${user.token}`] : [];
  return run([url.href], era, ...args, ...header);
}

function run(server, era, ...args) {
  const all = ["--cli", ...server, "--protocol-era", era, "--stored-auth-only", "--format", "json", ...args];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...all],
      { env: { ...process.env, HOME: home }, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

async function result(...args) {
  return resultOf(await inspector(...args));
}

function resultOf({ code, stdout, stderr }) {
  assert.equal(code, 0, `the exit code is ${code}: ${stderr || stdout}`);
  return JSON.parse(stdout).result;
}

function call(name, args) {
  return ["--method", "tools/call", "--tool-name", name, "--tool-args-json", JSON.stringify(args)];
}

for (const era of ["legacy", "auto", "modern"]) {
  const client = `Inspector, ${era}`;
  await check(client, "lists the tools", async () => {
    const { tools } = await result(era, undefined, "--method", "tools/list");
    assertTools(tools);
    assertTypes(tools);
  });
  for (const user of users) {
    await check(client, `getUserProfile shows ${user.id} itself`, async () => {
      assertProfile(await result(era, user, ...call("getUserProfile", {})), user);
    });
  }
}

const client = "Inspector";
// The service `types` is among them, so these are the schemas of every type.
await check(client, "the schemas are portable", async () => {
  const { code, stdout, stderr } = await inspector("modern", undefined, "--method", "tools/list", "--strict");
  assert.equal(code, 0, stderr);
  // The exit code tells of errors only; there shall not be a warning either.
  assert.equal(JSON.parse(stdout).schemaFindings, undefined, stderr);
});
// A record, a variant with a number that is none, options in options, 64 bits, flags: each call is a
// start of the Inspector, so not all of them. The numbers stand inside other types, because the
// Inspector makes numbers of its own of a text that is a whole argument, as soon as the schema has one.
for (const tool of ["echoPoint", "echoShape", "echoOptionOfOption", "echoUserProfile", "echoAccess"]) {
  await check(client, `${tool} gives back what it is given`, async () => {
    const some = calls.filter((row) => row.tool === tool);
    assert.ok(some.length > 0, `there is no call of ${tool}`);
    for (const row of some) {
      assertCall(row, await result("modern", undefined, ...call(tool, row.arguments)));
    }
  });
}
await check(client, "getAuthInfo answers without a token", async () => {
  assertAuthInfo(await result("modern", undefined, ...call("getAuthInfo", {})));
});
await check(client, "echo says who spoke", async () => {
  assertEcho(await result("modern", first, ...call("echo", { message: "hello" })), first, "hello");
});
await check(client, "without a token, a protected tool asks for one", async () => {
  const { code, stdout, stderr } = await inspector("modern", undefined, ...call("getUserProfile", {}));
  assert.notEqual(code, 0, `the call went through: ${stdout}`);
  assert.match(stderr, /401|auth/i);
});
await check(client, "an empty message is an error the model can read", async () => {
  const { stdout, stderr } = await inspector("modern", first, ...call("echo", { message: "" }));
  const said = JSON.parse(stdout || stderr);
  assert.equal(said.result?.isError, true, stdout || stderr);
  assert.match(text(said.result), /message/);
});

const transports = { HTTP: [features.href], stdio: ["--config", servers, "--server", "features"] };
for (const era of ["legacy", "auto", "modern"]) {
  for (const [transport, server] of Object.entries(transports)) {
    const client = `Inspector, ${era}, ${transport}`;
    const ask = async (method, ...args) => resultOf(await run(server, era, "--method", method, ...args));
    await check(client, "lists the tools", async () => {
      const { tools } = await ask("tools/list");
      assert.ok(tools.some((tool) => tool.name === "test_simple_text"));
    });
    await check(client, "calls a tool", async () => {
      const { content } = await ask("tools/call", "--tool-name", "test_multiple_content_types");
      assert.deepEqual(content.map((part) => part.type), ["text", "image", "resource"]);
      assert.deepEqual(JSON.parse(content[2].resource.text), { test: "data", value: 123 });
    });
    if (transport === "stdio") {
      await check(client, "is known by the token in its environment", async () => {
        assertProfile(await ask("tools/call", "--tool-name", "getUserProfile"), first);
      });
    }
    await check(client, "gets a prompt", async () => {
      const name = "test_prompt_with_arguments";
      const { prompts } = await ask("prompts/list");
      assert.ok(prompts.some((prompt) => prompt.name === name));
      const { messages } = await ask("prompts/get", "--prompt-name", name, "--prompt-args", "arg1=one", "arg2=two");
      assert.equal(messages[0].content.text, "Prompt with arguments: arg1='one', arg2='two'");
    });
    await check(client, "reads a resource of a template", async () => {
      const { resourceTemplates } = await ask("resources/templates/list");
      assert.equal(resourceTemplates[0].uriTemplate, "test://template/{id}/data");
      const { contents } = await ask("resources/read", "--uri", "test://template/7/data");
      assert.deepEqual(JSON.parse(contents[0].text), { id: "7", templateTest: true, data: "Data for ID: 7" });
    });
  }
}

finish();
