// Every page is found from the README, every link leads somewhere, and the house's plan names every package.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...docs.map((name) => `docs/${name}`)];

/** Files that a page links to, from the root; links into the web are left out. */
function linksOf(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) =>
    /^[a-z]+:|^#/.test(target) ? [] : [join(dirname(page), target.replace(/#.*$/, ""))],
  );
}

describe("the documentation", () => {
  it.each(pages)("%s links to what is there", (page) => {
    expect(linksOf(page).filter((target) => !existsSync(join(root, target)))).toEqual([]);
  });

  it("is linked from the README, every page of it", () => {
    const linked = linksOf("README.md");
    expect(docs.filter((name) => !linked.includes(join("docs", name)))).toEqual([]);
  });

  it("names every package in ARCHITECTURE.md", () => {
    const plan = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
    const packages = readdirSync(join(root, "packages"), { withFileTypes: true }).filter((each) => each.isDirectory());
    expect(packages.map(({ name }) => name).filter((name) => !plan.includes(`| \`${name}\` `))).toEqual([]);
  });
});
