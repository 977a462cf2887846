// Reads a summary on stdin as GitHub would show it, and says in JSON what is in it:
// node summary.mjs NODE_MODULES < summary.md
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const modules = process.argv[2];
const { JSDOM } = createRequire(`${modules}/`)('jsdom');
const { window } = new JSDOM('');
Object.assign(globalThis, { window, document: window.document });
const load = (path) => import(pathToFileURL(`${modules}/${path}`));
const { default: mermaid } = await load('mermaid/dist/mermaid.core.mjs');
const { marked } = await load('marked/lib/marked.esm.js');

const text = readFileSync(0, 'utf8');
const page = new JSDOM(marked.parse(text, { gfm: true })).window.document;
const elements = {};
for (const element of page.body.querySelectorAll('*')) {
  const name = element.tagName.toLowerCase();
  elements[name] = (elements[name] ?? 0) + 1;
}
const charts = [];
for (const block of page.querySelectorAll('code.language-mermaid')) {
  charts.push(await mermaid.parse(block.textContent).then((chart) => chart.diagramType, (error) => error.message));
}
const answers = [...page.querySelectorAll('code.language-text')].map((block) => block.textContent);
const tables = [...page.querySelectorAll('table')].map((table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
process.stdout.write(JSON.stringify({ elements, charts, answers, tables }));
process.exit(0);
