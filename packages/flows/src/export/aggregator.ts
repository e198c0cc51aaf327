/**
 * @module
 * Flows that are alike in some fields as one, with counts, as Cilium's exporter aggregates them.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import type { FlowRecord } from "../decode/record.ts";
import { compileMask } from "../filter/mask.ts";

interface Group {
  /** The fields that are alike, and the time of the first. */
  readonly message: flow.Flow;
  readonly nodeName: string;
  readonly time: bigint;
  ingress: number;
  egress: number;
  unknown: number;
}

/** One flow for several, and whose it is. */
export interface Aggregated {
  readonly message: flow.Flow;
  readonly nodeName: string;
  readonly time: bigint;
}

export class Aggregator {
  readonly #fields: (message: flow.Flow) => flow.Flow;
  #groups = new Map<string, Group>();

  /** `fields`: paths as of a field mask, at least one. Throws FilterError. */
  constructor(fields: readonly string[]) {
    this.#fields = compileMask<flow.Flow>(flow.FlowSchema, fields);
  }

  /** How many different ones wait. */
  get size(): number {
    return this.#groups.size;
  }

  add({ flow: message, nodeName, time }: FlowRecord): void {
    const alike = this.#fields(message);
    const key = Buffer.from(toBinary(flow.FlowSchema, alike)).toString("latin1");
    let group = this.#groups.get(key);
    if (!group) {
      if (message.time) alike.time = message.time;
      group = { message: alike, nodeName, time, ingress: 0, egress: 0, unknown: 0 };
      this.#groups.set(key, group);
    }
    if (message.trafficDirection === flow.TrafficDirection.INGRESS) group.ingress += 1;
    else if (message.trafficDirection === flow.TrafficDirection.EGRESS) group.egress += 1;
    else group.unknown += 1;
  }

  /** What has gathered, in the order of the first of each; the counts begin anew. */
  take(): Aggregated[] {
    const groups = [...this.#groups.values()];
    this.#groups = new Map();
    return groups.map(({ message, nodeName, time, ingress, egress, unknown }) => {
      message.aggregate = create(flow.AggregateSchema, {
        ...{ ingressFlowCount: ingress, egressFlowCount: egress, unknownDirectionFlowCount: unknown },
      });
      return { message, nodeName, time };
    });
  }
}
