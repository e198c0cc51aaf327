import { endpoints, ipcache, tunnels } from "./addresses.ts";
import { connections, nat } from "./connections.ts";
import { egress } from "./egress.ts";
import { metrics } from "./metrics.ts";
import { policies } from "./policy.ts";
import { bandwidth, clients, fragmented, maglev, ranges, sockets, unmasqueraded } from "./remembered.ts";
import { backendRows, frontendRows, reverseFrontends, services } from "./services.ts";
import type { DatapathTable } from "./table.ts";

export type { DatapathTable, TableCell, TableRow } from "./table.ts";

/** Every table, by its name. */
export const datapathTables: readonly DatapathTable[] = [
  ...[connections, endpoints, ipcache, tunnels, services, metrics, nat, egress, policies],
  ...[bandwidth, fragmented, unmasqueraded, sockets, clients, ranges, maglev],
  ...[reverseFrontends, frontendRows, backendRows],
];
