import { Worker } from "node:worker_threads";

/** A worker thread that runs a TypeScript module of this folder: Node 20 does not hand tsx on to its workers. */
export function startWorker(file: string, workerData: object): Worker {
  const entry = new URL(file, import.meta.url).href;
  const code = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(entry)}); });`;
  return new Worker(code, { eval: true, workerData, execArgv: ["--conditions=skep-source"] });
}
