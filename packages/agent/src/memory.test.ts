import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Memory } from "./memory.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("memory is given back once things are quiet", () => {
  const giveBack = vi.fn();
  const memory = new Memory(giveBack);
  memory.changed();
  vi.advanceTimersByTime(4000);
  memory.changed();
  vi.advanceTimersByTime(4000);
  expect(giveBack).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(giveBack).toHaveBeenCalledOnce();
  memory.close();
});

test("changes without an end do not keep it for ever", () => {
  const giveBack = vi.fn();
  const memory = new Memory(giveBack);
  for (let second = 0; second < 62; second++) {
    memory.changed();
    vi.advanceTimersByTime(1000);
  }
  expect(giveBack).toHaveBeenCalledOnce();
  memory.close();
});
