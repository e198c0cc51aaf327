import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const shared = {
  resolve: { conditions: ["skep-source"] },
  ssr: { resolve: { conditions: ["skep-source"] } },
};

const isPrivileged = process.env["SKEP_TEST_UNPRIVILEGED"] === undefined;

/** What changes namespaces, links and maps of the machine: one file after the other. */
const kernel = {
  pool: "forks",
  fileParallelism: false,
  testTimeout: 300_000,
  hookTimeout: 300_000,
} as const;

/** Files that count descriptors, collect garbage or look at the process itself: a process for each. */
const alone = ["packages/linux/**/*.kernel.test.ts", "docs/**/*.kernel.test.ts"];

/** They import nothing of Node and know no user: what they do for root they do for everybody. */
const pure = [
  "isa",
  "object",
  "net",
  "bpf",
  "ir",
  "compiler",
  "verifier",
  "vm",
  "machine",
  "sim",
  "policy",
  "control",
  "datapath",
];

/** Whole clusters on the simulated machine, the pages in a browser, generated code: they know no user either. */
const userless = [
  ...["nodes", "node-port", "network-policy", "cnp", "masquerade", "netkit"],
  ...["bandwidth", "egress", "names", "splice", "lost-sockets"],
].map((name) => `packages/agent/test/${name}.test.ts`);
userless.push(
  "packages/cli/test/{trace,connectivity}.test.ts",
  "packages/ui/**",
  "packages/api/test/generated.test.ts",
);

export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          include: ["packages/*/{src,test}/**/*.test.ts", "examples/**/*.test.ts", "docs/**/*.test.ts"],
          exclude: [
            ...["**/*.kernel.test.ts", "**/node_modules/**"],
            ...(isPrivileged ? [] : [...pure.map((name) => `packages/${name}/**`), ...userless]),
          ],
          // Modules are read once per worker, not once per file: a third of the time.
          isolate: false,
          ...(isPrivileged ? { maxWorkers: Math.max(2, availableParallelism() - 1) } : {}),
          // CI has two cores for two runs at once: a time-out tells of what hangs, not of what is slow.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...kernel,
          name: "kernel",
          include: ["packages/*/{src,test}/**/*.kernel.test.ts", "examples/**/*.kernel.test.ts"],
          exclude: [...alone, "**/node_modules/**"],
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...shared,
        test: {
          ...kernel,
          name: "kernel-alone",
          include: alone,
          exclude: ["**/node_modules/**"],
          // An ordinary user's run only tells what it skips: one process is enough for that.
          isolate: isPrivileged,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
