import { datapathMaps } from "@skep/datapath";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { SHARED, sizeFlags, type TableFlags, tablesOf } from "../src/commands/up-tables.ts";
import { tableOptions } from "../src/define/up-tables.ts";

const GIGABYTE = 1 << 30;

/** As the command line gives them. */
function flags(...words: readonly string[]): TableFlags {
  const up = tableOptions(new Command().exitOverride().configureOutput({ writeErr: () => undefined }));
  return up.parse(words, { from: "user" }).opts<TableFlags>();
}

const tables = (...words: readonly string[]): ReturnType<typeof tablesOf> => tablesOf(flags(...words), GIGABYTE);

describe("what skep up is told about tables", () => {
  test("without a word: Cilium's times, the maps' own sizes", () => {
    expect(tables()).toEqual({
      lifetimes: { tcp: 8000, any: 60, tcpSyn: 60, tcpFin: 10, serviceTcp: 8000, serviceAny: 60, serviceTcpGrace: 60 },
      mapEntries: {},
    });
  });

  test("times and sizes by their flags", () => {
    expect(
      tables(
        ...["--bpf-ct-timeout-regular-tcp", "6h", "--bpf-ct-timeout-regular-any", "1m30s"],
        ...["--bpf-ct-timeout-regular-tcp-syn", "20s", "--bpf-ct-timeout-regular-tcp-fin", "5s"],
        ...["--bpf-ct-timeout-service-tcp", "1h", "--bpf-ct-timeout-service-any", "61s"],
        ...["--bpf-ct-timeout-service-tcp-grace", "62s", "--conntrack-gc-interval", "5m"],
        ...["--bpf-ct-global-max", "1048576", "--bpf-nat-global-max", "2048", "--bpf-policy-map-max", "65536"],
        ...["--bpf-sock-rev-map-max", "4096", "--bpf-fragments-map-max", "256"],
        ...["--bpf-lb-service-map-max", "200000", "--bpf-lb-map-max", "100000"],
      ),
    ).toEqual({
      lifetimes: {
        ...{ tcp: 21_600, any: 90, tcpSyn: 20, tcpFin: 5 },
        ...{ serviceTcp: 3600, serviceAny: 61, serviceTcpGrace: 62 },
      },
      collectEachMs: 300_000,
      policyEntries: 65_536,
      mapEntries: {
        ...{ skep_ct: 1_048_576, skep_nat: 2048, skep_sock_rev: 4096, skep_fragments: 256 },
        ...{ skep_services: 200_000, skep_affinity: 100_000, skep_aff_match: 100_000, skep_src_range: 100_000 },
      },
    });
    expect(tables("--conntrack-gc-interval", "0")).not.toHaveProperty("collectEachMs");
  });

  test("a share of the memory in the proportion of the usual sizes, within limits; what is said counts", () => {
    const usual = Object.values(SHARED).reduce((sum, { entries, bytes }) => sum + entries * bytes, 0);
    const share = (memory: number, ...more: string[]): unknown =>
      tablesOf(flags("--bpf-map-dynamic-size-ratio", "0.5", ...more), memory).mapEntries;
    expect(share(usual * 4)).toEqual({ skep_ct: 524_288, skep_nat: 1_048_576, skep_sock_rev: 524_288 });
    expect(share(GIGABYTE / 1024)).toEqual({ skep_ct: 131_072, skep_nat: 131_072, skep_sock_rev: 65_536 });
    expect(share(usual * 1000)).toEqual({ skep_ct: 16_777_216, skep_nat: 16_777_216, skep_sock_rev: 16_777_216 });
    expect(share(usual * 4, "--bpf-nat-global-max", "1024")).toMatchObject({ skep_ct: 524_288, skep_nat: 1024 });
    for (const [name, { entries, bytes }] of Object.entries(SHARED)) {
      const map = datapathMaps.get(name);
      expect([name, map?.maxEntries, (map?.key?.size ?? 0) + (map?.value?.size ?? 0)]).toEqual([name, entries, bytes]);
    }
  });

  test.each([
    ["--bpf-ct-timeout-regular-tcp", "8000", "whole seconds, at least one, such as 8000s or 2h13m20s"],
    ["--bpf-ct-timeout-regular-any", "0s", "whole seconds"],
    ["--bpf-ct-timeout-service-any", "1500ms", "whole seconds"],
    ["--bpf-ct-timeout-service-tcp", "30000d", "whole seconds"],
    ["--conntrack-gc-interval", "20ms", "from 1s to 24d"],
    ["--conntrack-gc-interval", "25d", "from 1s to 24d"],
    ["--conntrack-gc-interval", "often", "from 1s to 24d"],
    ["--bpf-ct-global-max", "1023", "from 1024 to 16777216 entries"],
    ["--bpf-nat-global-max", "16777217", "from 1024 to 16777216 entries"],
    ["--bpf-policy-map-max", "65537", "from 256 to 65536 entries"],
    ["--bpf-map-dynamic-size-ratio", "0", "a share of the memory"],
    ["--bpf-map-dynamic-size-ratio", "1.5", "a share of the memory"],
    ["--bpf-map-dynamic-size-ratio", "1e-3", "a share of the memory"],
  ])("refused: %s %s", (flag, value, mend) => {
    expect(() => tables(flag, value)).toThrow(`${flag} ${value}: `);
    expect(() => tables(flag, value)).toThrow(mend);
  });

  test("no numbers of entries", () => {
    expect(() => tables("--bpf-ct-global-max", "many")).toThrow(/bpf-ct-global-max .*not a whole number/);
  });

  test("the flags of a map that is too small", () => {
    expect(sizeFlags("skep_ct")).toBe("--bpf-ct-global-max");
    expect(sizeFlags("skep_services")).toBe("--bpf-lb-map-max, --bpf-lb-service-map-max");
  });
});
