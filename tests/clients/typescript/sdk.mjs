// The official TypeScript SDK, 1.x: what most clients in the field are made with.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { finish, judge, recording, url } from "../checks.mjs";

await judge("TypeScript 1.x", ["2025-11-25"], async (token, http = []) => {
  const client = new Client({ name: "cloister-tests", version: "1.0.0" });
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

finish();
