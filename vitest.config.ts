import { defineConfig } from "vitest/config";

const shared = {
  resolve: { conditions: ["skep-source"] },
  ssr: { resolve: { conditions: ["skep-source"] } },
};

// `kernel` tests change namespaces, links and maps of the machine: one file after the other.
export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          include: ["packages/*/{src,test}/**/*.test.ts", "examples/**/*.test.ts", "docs/**/*.test.ts"],
          exclude: ["**/*.kernel.test.ts", "**/node_modules/**"],
          testTimeout: 30_000,
        },
      },
      {
        ...shared,
        test: {
          name: "kernel",
          include: [
            "packages/*/{src,test}/**/*.kernel.test.ts",
            "examples/**/*.kernel.test.ts",
            "docs/**/*.kernel.test.ts",
          ],
          pool: "forks",
          // An ordinary user's run only tells what it skips: one process is enough for that.
          isolate: process.env["SKEP_TEST_UNPRIVILEGED"] === undefined,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
