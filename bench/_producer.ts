// In a worker: runs the program whose id it is given, COUNT times for each message { count }, and answers { done }.
import { parentPort, workerData } from "node:worker_threads";
import { programById } from "@skep/linux";

const port = parentPort;
if (!port) throw new Error("started outside of a worker");
const program = programById((workerData as { program: number }).program);
if (!program) throw new Error("the program is gone");
const data = new Uint8Array(64);
port.on("message", ({ count }: { count: number }) => {
  if (count > 0) program.test({ data, repeat: count });
  else {
    program.close();
    port.close();
  }
  port.postMessage({ done: count });
});
port.postMessage({ done: 0 });
