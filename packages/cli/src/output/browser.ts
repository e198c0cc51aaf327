import { spawn } from "node:child_process";
import { note } from "./print.ts";

/** Where there is a desktop. A browser that does not start is no failure: the address is printed. */
export function openBrowser(url: string): void {
  const isDesktop = ["DISPLAY", "WAYLAND_DISPLAY"].some((name) => process.env[name] !== undefined);
  if (!isDesktop) return;
  const child = spawn("xdg-open", [url], { stdio: "ignore", detached: true });
  child.on("error", (error) => note(`no browser could be opened: ${error.message}`));
  child.unref();
}
