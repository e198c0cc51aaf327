// Keeps the numbers of one service more in each round, and says each that is kept: `node keep-numbers.ts FOLDER`.
import { World } from "@skep/control";
import { parsePrefix } from "@skep/net";
import { StateFolder } from "../src/state.ts";

const prefix = (text: string) => parsePrefix(text)!;
const world = new World({ podCidr: prefix("10.244.0.0/16"), serviceCidr: prefix("10.96.0.0/12") });
const state = new StateFolder(process.argv[2] ?? "");
const service = (n: number): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: s${n}}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n`;

for (let n = 0; ; n++) {
  world.applyFile(`s${n}`, service(n));
  state.keepNumbers(world);
  process.stdout.write(`${n}\n`);
}
