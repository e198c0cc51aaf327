import { xdp, u32 } from "@skep/bpf";
enum Size {
  Small = 1,
  Odd = 1.5,
  Later = u32(3),
}
enum Text {
  A = "a",
}
export const main = xdp("main", () => {
  const text: Text = Text.A;
  return Size.Small + text;
});
