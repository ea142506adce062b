// The official TypeScript SDK, 1.x: what most clients in the field are made with.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { finish, judge, recording, url } from "../checks.mjs";
import { exercise, features, program } from "../features.mjs";

const info = { name: "cloister-tests", version: "1.0.0" };
const versions = ["2025-11-25"];
const transports = {
  HTTP: () => new StreamableHTTPClientTransport(features),
  stdio: () => new StdioClientTransport(program),
};

await judge("TypeScript 1.x", versions, async (token, http = []) => {
  const client = new Client(info);
  const transport = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: token ? { Authorization: `Bearer ${token}` } : {} },
    fetch: recording(http),
  });
  await client.connect(transport);
  return {
    version: transport.protocolVersion,
    listTools: () => client.listTools(),
    callTool: (params) => client.callTool(params),
    close: () => client.close(),
  };
});

for (const [name, connect] of Object.entries(transports)) {
  await exercise("TypeScript 1.x", versions, name, async (person) => {
    const client = new Client(info, {
      capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => person.toolsChanged() } },
    });
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => person.elicit(params));
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => person.sample(params));
    client.setRequestHandler(ListRootsRequestSchema, () => person.roots());
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => person.resourceUpdated(params.uri));
    const transport = connect();
    await client.connect(transport);
    return {
      // Over stdio the SDK does not say.
      version: transport.protocolVersion,
      listTools: () => client.listTools(),
      callTool: (params, options) => client.callTool(params, undefined, options),
      listPrompts: () => client.listPrompts(),
      getPrompt: (params) => client.getPrompt(params),
      complete: (params) => client.complete(params),
      listResources: () => client.listResources(),
      listResourceTemplates: () => client.listResourceTemplates(),
      readResource: (params) => client.readResource(params),
      subscribe: (uri) => client.subscribeResource({ uri }),
      close: () => client.close(),
    };
  });
}

finish();
