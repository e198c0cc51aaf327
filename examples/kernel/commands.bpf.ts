// User space speaks to the kernel: commands through a ring of its own, taken in one go.
import { hash, struct, syscall, u32, u64, userRing } from "@skep/bpf";

const Command = struct("Command", { operation: u32, key: u32, value: u64 });
export const commands = userRing("commands", { bytes: 4096 });
export const table = hash("table", { key: u32, value: u64, maxEntries: 64 });
export const OPERATION = { SET: 1, ADD: 2, DELETE: 3, STOP: 4 } as const;
export const Report = struct("Report", { done: u32, failed: u32 });

export const obey = syscall("obey", Report, (report) => {
  let done: u32 = 0;
  let failed: u32 = 0;
  commands.drain((message) => {
    const command = Command.zero();
    if (message.read(command, 0n) !== 0n) {
      failed += 1;
      return false;
    }
    switch (command.operation) {
      case OPERATION.SET:
        table.set(command.key, command.value);
        break;
      case OPERATION.ADD: {
        const place = table.ref(command.key);
        if (place) place.value += command.value;
        break;
      }
      case OPERATION.DELETE:
        table.delete(command.key);
        break;
      case OPERATION.STOP:
        return true;
      default:
        failed += 1;
        return false;
    }
    done += 1;
    return false;
  });
  report.done = done;
  report.failed = failed;
  return 0;
});
