import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { observer, skep } from "@skep/api";

export interface Clients {
  readonly agent: Client<typeof skep.Agent>;
  readonly flows: Client<typeof skep.Flows>;
  readonly observer: Client<typeof observer.Observer>;
}

/** Of the server that the page came from. */
export function createClients(baseUrl: string): Clients {
  const transport = createConnectTransport({ baseUrl, useBinaryFormat: true });
  const flows = createClient(skep.Flows, transport);
  return { flows, agent: createClient(skep.Agent, transport), observer: createClient(observer.Observer, transport) };
}
