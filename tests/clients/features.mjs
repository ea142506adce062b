// What every client must be able to do with the service `conformance`, whichever SDK it is made with,
// whichever revision it agreed on, and over whichever transport.
//
// A client is given as a function `open(person)` that connects and returns the methods called below.
// It hands what the host asks to `person.elicit(params)`, `person.sample(params)` and `person.roots()`,
// and tells `person.toolsChanged()` and `person.resourceUpdated(uri)` when it is told so itself.

import assert from "node:assert/strict";
import { openSync } from "node:fs";
import { copyFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { assertProfile, check, setting, text, users } from "./checks.mjs";

export const features = new URL(setting("HOST_FEATURES_URL"));
const folder = setting("HOST_FOLDER");
const [owner] = users;
const invalidParams = -32602;

/** How a client starts the host for itself, and who it is there. */
export const program = {
  command: setting("HOST_PROGRAM"),
  args: ["serve", "--stdio", "--mcp-dir", join(folder, "mcp")],
  cwd: folder,
  env: { CLERK_ISSUER: setting("HOST_ISSUER"), CLOISTER_TOKEN: owner.token },
  stderr: openSync(join(folder, "stdio.log"), "a"),
};

/** What happens, for those who wait for it. */
class Happened {
  #things = [];
  #waiting = [];

  push(thing) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(thing);
    else this.#things.push(thing);
  }

  /** The next thing that happens, or the first that has happened and nobody asked for. */
  next(what) {
    if (this.#things.length > 0) return Promise.resolve(this.#things.shift());
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what} did not happen within five seconds`)), 5_000);
      this.#waiting.push((thing) => {
        clearTimeout(late);
        resolve(thing);
      });
    });
  }
}

const plain = (message) => ({ type: "text", text: message });

function bytes(base64) {
  return Buffer.from(base64, "base64");
}

/** Everything that one client must be able to do, with one connection. */
export async function exercise(client, versions, transport, open) {
  const toolsChanged = new Happened();
  const resourceUpdated = new Happened();
  const person = {
    asked: [],
    elicit: () => ({ action: "cancel" }),
    sample: () => ({ role: "assistant", model: "none", content: plain("nothing") }),
    roots: () => ({ roots: [] }),
    toolsChanged: () => toolsChanged.push(),
    resourceUpdated: (uri) => resourceUpdated.push(uri),
  };
  client = `${client}, ${transport}`;
  let connected;
  await check(client, "connects and agrees on a revision", async () => {
    connected = await open(person);
    if (connected.version) assert.ok(versions.includes(connected.version), `agreed on ${connected.version}`);
  });
  if (!connected) return;
  const call = (name, args = {}, options) => connected.callTool({ name, arguments: args }, options);
  const names = async () => (await connected.listTools()).tools.map((tool) => tool.name);

  await check(client, "lists the tools", async () => {
    const { tools } = await connected.listTools();
    const listed = tools.map((tool) => tool.name);
    assert.deepEqual(listed, [...listed].sort(), "the list is sorted by name");
    for (const name of ["json_schema_2020_12_tool", "test_simple_text", "test_tool_with_progress"]) {
      assert.ok(listed.includes(name), `\`${name}\` is not listed; listed are ${listed.join(", ")}`);
    }
    const { properties } = tools.find((tool) => tool.name === "test_custom_header").inputSchema;
    assert.equal(properties.value["x-mcp-header"], "Value");
  });
  await check(client, "calls a tool, and has an argument mirrored where the revision wants it", async () => {
    assert.equal(text(await call("test_simple_text")), "This is a simple text response for testing.");
    const value = " größer als 3 ";
    assert.equal(text(await call("test_custom_header", { value })), `Header value: ${value}`);
    const failed = await call("test_error_handling");
    assert.equal(failed.isError, true);
    assert.equal(text(failed), "This tool intentionally returns an error for testing");
  });
  if (transport === "stdio") {
    await check(client, "is known by the token in its environment", async () => {
      assertProfile(await call("getUserProfile"), owner);
    });
  }
  await check(client, "is given text, a picture and a resource", async () => {
    const { content } = await call("test_multiple_content_types");
    assert.deepEqual(content.map((part) => part.type), ["text", "image", "resource"]);
    assert.equal(content[1].mimeType, "image/png");
    assert.equal(bytes(content[1].data).subarray(1, 4).toString(), "PNG");
    assert.deepEqual(JSON.parse(content[2].resource.text), { test: "data", value: 123 });
  });
  await check(client, "lists prompts, completes an argument and gets one", async () => {
    const { prompts } = await connected.listPrompts();
    const prompt = prompts.find((prompt) => prompt.name === "test_prompt_with_arguments");
    assert.deepEqual(
      prompt.arguments.map(({ name, required }) => ({ name, required })),
      [
        { name: "arg1", required: true },
        { name: "arg2", required: true },
      ],
    );
    const ref = { type: "ref/prompt", name: prompt.name };
    const { completion } = await connected.complete({ ref, argument: { name: "arg1", value: "test" } });
    assert.deepEqual(completion.values, ["testing", "test value"]);
    const got = await connected.getPrompt({ name: prompt.name, arguments: { arg1: "one", arg2: "2" } });
    assert.deepEqual(got.messages, [{ role: "user", content: plain("Prompt with arguments: arg1='one', arg2='2'") }]);
  });
  await check(client, "lists resources and templates, and reads them", async () => {
    const { resources } = await connected.listResources();
    const listed = resources.map((resource) => resource.uri);
    assert.deepEqual(listed, ["test://static-binary", "test://static-text", "test://watched-resource"]);
    const { resourceTemplates } = await connected.listResourceTemplates();
    assert.deepEqual(resourceTemplates.map((template) => template.uriTemplate), ["test://template/{id}/data"]);
    const [said] = (await connected.readResource({ uri: "test://static-text" })).contents;
    assert.equal(said.mimeType, "text/plain");
    assert.equal(said.text, "This is the content of the static text resource.");
    const [picture] = (await connected.readResource({ uri: "test://static-binary" })).contents;
    assert.equal(bytes(picture.blob).subarray(1, 4).toString(), "PNG");
    const [data] = (await connected.readResource({ uri: "test://template/a%20b/data" })).contents;
    assert.equal(data.uri, "test://template/a%20b/data");
    assert.deepEqual(JSON.parse(data.text), { id: "a b", templateTest: true, data: "Data for ID: a b" });
  });
  await check(client, "is told how far a call is", async () => {
    const seen = [];
    const result = await call("test_tool_with_progress", {}, { onprogress: (it) => seen.push(it) });
    assert.equal(text(result), "Progress was reported");
    assert.deepEqual(
      seen.map(({ progress, total }) => [progress, total]),
      [
        [0, 100],
        [50, 100],
        [100, 100],
      ],
    );
  });
  await check(client, "answers what the person is asked", async () => {
    let asked;
    person.elicit = (params) => {
      asked = params;
      return { action: "accept", content: { username: "ada", email: "ada@example.com" } };
    };
    const result = await call("test_elicitation", { message: "Who are you?" });
    assert.equal(asked.message, "Who are you?");
    assert.deepEqual(Object.keys(asked.requestedSchema.properties), ["username", "email"]);
    assert.deepEqual(asked.requestedSchema.required, ["username", "email"]);
    const said = text(result);
    assert.match(said, /action=accept/);
    assert.match(said, /username=ada\b/);
    assert.match(said, /email=ada@example\.com/);
    person.elicit = () => ({ action: "decline" });
    assert.equal(text(await call("test_elicitation", { message: "And now?" })), "User response: action=decline");
  });
  await check(client, "answers the person, the model and the folders at once", async () => {
    person.elicit = () => ({ action: "accept", content: { name: "Ada" } });
    person.sample = ({ messages, maxTokens }) => {
      const [{ content }] = messages;
      return {
        role: "assistant",
        model: "a-model",
        stopReason: "endTurn",
        content: plain(`${[content].flat()[0].text}: ${maxTokens}`),
      };
    };
    person.roots = () => ({ roots: [{ uri: "file:///srv/notes", name: "notes" }] });
    const said = text(await call("test_input_required_result_multiple_inputs"));
    assert.equal(said, "Hello, Ada!\nGenerate a greeting: 50\nClient roots: file:///srv/notes");
  });
  await check(client, "answers in two rounds, each question once, and in a prompt", async () => {
    const asked = [];
    const answers = { name: "Ada", color: "blue", context: "a poem" };
    person.elicit = ({ requestedSchema }) => {
      const [field] = Object.keys(requestedSchema.properties);
      asked.push(field);
      return { action: "accept", content: { [field]: answers[field] } };
    };
    assert.equal(text(await call("test_input_required_result_multi_round")), "Ada likes blue");
    const { messages } = await connected.getPrompt({ name: "test_input_required_result_prompt" });
    assert.deepEqual(messages, [{ role: "user", content: plain("Use this context: a poem") }]);
    assert.deepEqual(asked, ["name", "color", "context"]);
  });
  await check(client, "is told that a resource has changed", async () => {
    await connected.subscribe("test://watched-resource");
    await call("test_trigger_resource_update");
    assert.equal(await resourceUpdated.next("an update"), "test://watched-resource");
  });
  await check(client, "is told of a service that comes and goes", async () => {
    assert.ok(!(await names()).includes("greet"));
    const file = join(folder, "mcp", "newcomer.wasm");
    await copyFile(setting("HOST_NEWCOMER"), `${file}.new`);
    await rename(`${file}.new`, file);
    try {
      do await toolsChanged.next("a change of the list");
      while (!(await names()).includes("greet"));
      assert.equal(text(await call("greet", { name: "Ada" })), "hello, Ada");
    } finally {
      await rm(file);
    }
    do await toolsChanged.next("the change back");
    while ((await names()).includes("greet"));
    await assert.rejects(call("greet", { name: "Ada" }), { code: invalidParams });
  });
  await check(client, "cancels a call", async () => {
    const cancel = new AbortController();
    const progress = new Happened();
    const refused = assert.rejects(
      call("test_cancellation", {}, { signal: cancel.signal, onprogress: (it) => progress.push(it) }),
    );
    try {
      await progress.next("progress");
      if (transport === "HTTP") await running(1);
    } finally {
      cancel.abort();
      await refused;
    }
    if (transport === "HTTP") await running(0);
    assert.equal(text(await call("test_simple_text")), "This is a simple text response for testing.");
  });
  await connected.close();
}

/** Waits until the host says that this many calls are running. */
async function running(wanted) {
  const deadline = Date.now() + 1_000;
  for (;;) {
    const { open } = await (await fetch(new URL("/health", features))).json();
    if (open.calls === wanted) return;
    assert.ok(Date.now() < deadline, `${open.calls} calls are running, expected ${wanted}`);
  }
}
