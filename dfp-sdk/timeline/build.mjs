// Makes the page that the SDK writes sessions into, and the note on what of it is not ours.
//
//   npm ci && npm run build            writes ../src/timeline/page.html and THIRD-PARTY.md
//   npm run build -- OTHER_DIRECTORY   writes both there: the check that the committed ones are these

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const read = (...path) => readFileSync(join(here, ...path), "utf8");
const library = (...path) => read("node_modules", "uplot", ...path);

const { version } = JSON.parse(library("package.json"));
const licence = library("LICENSE").trim();
const PARTS = ["data", "axes", "chart", "tip", "strip", "list", "save", "main"];

const style = `\n${library("dist", "uPlot.min.css").trim()}\n${read("src", "page.css")}`;
const own = PARTS.map(part => read("src", `${part}.js`)).join("\n");
const script = `\n/* uPlot ${version}, MIT, licence above */\n${library("dist", "uPlot.iife.min.js").trim()}\n(() => {\n"use strict";\n${own}})();\n`;

// Nothing but these two runs, and nothing is fetched, sent, framed or submitted.
const hash = text => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'", `script-src ${hash(script)}`, `style-src ${hash(style)}`, "img-src data:",
  "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
].join("; ");

const filled = {
  POLICY: policy, STYLE: style, SCRIPT: script,
  LICENCE: `The chart's axes are drawn by uPlot ${version}, https://github.com/leeoniya/uPlot\n\n${licence}`,
};
const page = read("src", "page.html").replace(/@(POLICY|STYLE|SCRIPT|LICENCE)@/g, (_, name) => filled[name]);
const note = `# Third-party parts of the timeline's page

What the SDK writes into every page, beside dfp's own code. Made by \`build.mjs\`.

## uPlot ${version}

https://github.com/leeoniya/uPlot

${licence.replace(/^/gm, "    ").replace(/ +$/gm, "")}
`;

const other = process.argv[2];
writeFileSync(other ? join(other, "page.html") : join(here, "..", "src", "timeline", "page.html"), page);
writeFileSync(other ? join(other, "THIRD-PARTY.md") : join(here, "THIRD-PARTY.md"), note);
