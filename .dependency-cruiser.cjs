// The house: a package imports only downward (ARCHITECTURE.md), and a pure package nothing of Node.
const allowed = {
  isa: [],
  net: [],
  object: ["isa"],
  bpf: [],
  ir: ["isa", "object"],
  compiler: ["isa", "object", "bpf", "ir"],
  verifier: ["isa", "object"],
  vm: ["isa", "object"],
  machine: ["isa", "object", "bpf", "net"],
  linux: ["isa", "object", "net", "bpf", "machine"],
  sim: ["isa", "object", "net", "bpf", "machine", "vm"],
  policy: ["net"],
  control: ["net", "policy"],
  datapath: ["isa", "object", "net", "bpf", "machine", "policy", "control"],
  api: [],
  flows: ["net", "api", "datapath", "control"],
  agent: ["net", "machine", "policy", "control", "datapath", "flows", "api"],
  cli: ["isa", "object", "net", "bpf", "compiler", "machine", "linux", "policy", "control", "datapath", "flows", "agent", "api"],
};
const pure = ["isa", "object", "net", "bpf", "ir", "compiler", "verifier", "vm", "machine", "sim", "policy", "control", "datapath"];
const test = "\\.test\\.ts$|/test/|/testdata/";

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: { pathNot: test }, to: { circular: true, dependencyTypesNot: ["type-only"] } },
    ...Object.entries(allowed).map(([name, to]) => ({
      name: `floor-${name}`,
      severity: "error",
      from: { path: `^packages/${name}/src`, pathNot: test },
      to: { path: "^packages/([^/]+)/", pathNot: `^packages/(${[name, ...to].join("|")})/` },
    })),
    {
      name: "pure-no-node",
      severity: "error",
      from: { path: `^packages/(${pure.join("|")})/src`, pathNot: test },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "one-importer-of-koffi",
      severity: "error",
      from: { pathNot: "^packages/linux/src/sys/" },
      to: { path: "node_modules/koffi" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { conditionNames: ["skep-source", "import", "node", "default", "types"], exportsFields: ["exports"] },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "generated|\\.bpf\\.ts$" },
  },
};
