import { assert, loop, tc } from "@skep/bpf";
export const main = tc("main", (ctx) => {
  loop(4, (index) => {
    assert(index < 3, 2);
  });
  return 0;
});
