// The official TypeScript client, 2.x, in the three ways it can agree on a revision.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { finish, judge, recording, url } from "../checks.mjs";

const modern = "2026-07-28";

const ways = [
  { name: "legacy", mode: "legacy", versions: ["2025-11-25"] },
  { name: "auto", mode: "auto", versions: [modern] },
  { name: modern, mode: { pin: modern }, versions: [modern] },
];

for (const { name, mode, versions } of ways) {
  await judge(`TypeScript 2.x, ${name}`, versions, async (token, http = []) => {
    const client = new Client({ name: "cloister-tests", version: "1.0.0" }, { versionNegotiation: { mode } });
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
}

finish();
