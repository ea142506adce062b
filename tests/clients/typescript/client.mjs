// The official TypeScript client, 2.x, in the three ways it can agree on a revision.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { finish, judge, recording, url } from "../checks.mjs";
import { exercise, features, program } from "../features.mjs";

const modern = "2026-07-28";
const info = { name: "cloister-tests", version: "1.0.0" };

const ways = [
  { name: "legacy", mode: "legacy", versions: ["2025-11-25"] },
  { name: "auto", mode: "auto", versions: [modern] },
  { name: modern, mode: { pin: modern }, versions: [modern] },
];
const transports = {
  HTTP: () => new StreamableHTTPClientTransport(features),
  stdio: () => new StdioClientTransport(program),
};

for (const { name, mode, versions } of ways) {
  await judge(`TypeScript 2.x, ${name}`, versions, async (token, http = []) => {
    const client = new Client(info, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(url, {
      authProvider: { token: async () => token },
      fetch: recording(http),
    });
    await client.connect(transport);
    return {
      version: client.getNegotiatedProtocolVersion(),
      listTools: () => client.listTools(),
      callTool: (params) => client.callTool(params),
      close: () => client.close(),
    };
  });
  for (const [transport, connect] of Object.entries(transports)) {
    await exercise(`TypeScript 2.x, ${name}`, versions, transport, async (person) => {
      const client = new Client(info, {
        versionNegotiation: { mode },
        capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => person.toolsChanged() } },
      });
      client.setRequestHandler("elicitation/create", ({ params }) => person.elicit(params));
      client.setRequestHandler("sampling/createMessage", ({ params }) => person.sample(params));
      client.setRequestHandler("roots/list", () => person.roots());
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => person.resourceUpdated(params.uri));
      await client.connect(connect());
      return {
        version: client.getNegotiatedProtocolVersion(),
        listTools: () => client.listTools(),
        callTool: (params, options) => client.callTool(params, options),
        listPrompts: () => client.listPrompts(),
        getPrompt: (params) => client.getPrompt(params),
        complete: (params) => client.complete(params),
        listResources: () => client.listResources(),
        listResourceTemplates: () => client.listResourceTemplates(),
        readResource: (params) => client.readResource(params),
        subscribe: (uri) =>
          client.getProtocolEra() === "modern"
            ? client.listen({ resourceSubscriptions: [uri] })
            : client.subscribeResource({ uri }),
        close: () => client.close(),
      };
    });
  }
}

finish();
