// Shows a summary as GitHub would, its diagrams drawn, and says in JSON what is in it:
// node summary.mjs NODE_MODULES CHROMIUM FILE [FOLDER FOR A SCREENSHOT]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { open } from './open.mjs';

const [modules, chromium, file, folder] = process.argv.slice(2);
const { marked } = await import(pathToFileURL(`${modules}/marked/lib/marked.esm.js`));
const look = readFileSync(join(modules, 'github-markdown-css/github-markdown.css'), 'utf8');
const body = marked.parse(readFileSync(file, 'utf8'), { gfm: true });
const found = await open(modules, chromium, async (browser) => {
  const page = await browser.newPage();
  await page.setViewport({ width: 900, height: 800 });
  await page.setContent(`<!doctype html><meta charset="utf-8"><style>${look}</style>
    <body class="markdown-body" style="padding: 1rem">${body}`);
  const found = await page.evaluate(() => {
    const elements = {};
    for (const element of document.body.querySelectorAll('*')) {
      const name = element.tagName.toLowerCase();
      elements[name] = (elements[name] ?? 0) + 1;
    }
    const texts = (selector) => [...document.querySelectorAll(selector)].map((block) => block.textContent);
    const cells = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    const folds = [...document.querySelectorAll('details')];
    const [open, folded] = [true, false].map((open) =>
      folds.filter((fold) => fold.open === open).map((fold) => fold.querySelector('summary').textContent));
    return { elements, open, folded, title: document.querySelector('h2')?.textContent, answers: texts('code.language-text'), tables: [...document.querySelectorAll('table')].map(cells) };
  });
  await page.addScriptTag({ path: join(modules, 'mermaid/dist/mermaid.min.js') });
  found.charts = await page.evaluate(async () => {
    mermaid.initialize({ startOnLoad: false, securityLevel: 'strict' });
    const charts = [];
    // Nothing is drawn where nothing is seen.
    const folded = [...document.querySelectorAll('details:not([open])')];
    folded.forEach((fold) => { fold.open = true; });
    for (const [nth, block] of [...document.querySelectorAll('code.language-mermaid')].entries()) {
      try {
        const { diagramType } = await mermaid.parse(block.textContent);
        const { svg } = await mermaid.render(`chart${nth}`, block.textContent);
        block.parentElement.outerHTML = `<div class="drawn">${svg}</div>`;
        const drawn = document.querySelectorAll('.drawn svg')[nth]?.getBoundingClientRect();
        charts.push(drawn?.width > 100 && drawn.height > 50 ? diagramType : 'nothing was drawn');
      } catch (error) {
        charts.push(String(error));
      }
    }
    folded.forEach((fold) => { fold.open = false; });
    return charts;
  });
  if (folder) await page.screenshot({ path: join(folder, 'summary.png'), fullPage: true });
  return found;
});
process.stdout.write(JSON.stringify(found));
