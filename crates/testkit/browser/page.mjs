// Opens a page as a phone and as a desk would, light and dark, and says in JSON what is wrong with it:
// node page.mjs NODE_MODULES CHROMIUM FILE [FOLDER FOR SCREENSHOTS]
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { open } from './open.mjs';

const [modules, chromium, file, folder] = process.argv.slice(2);
const found = { violations: [], wide: [], problems: [], requests: 0, views: 0 };
await open(modules, chromium, async (browser) => {
  for (const [name, width, scheme] of [['desk', 1280, 'light'], ['desk', 1280, 'dark'], ['phone', 375, 'light'], ['phone', 375, 'dark']]) {
    const page = await browser.newPage();
    page.on('console', (message) => found.problems.push(message.text()));
    page.on('pageerror', (error) => found.problems.push(String(error)));
    page.on('request', (request) => { found.requests += request.url().startsWith('file:') ? 0 : 1; });
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(pathToFileURL(file).href);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) found.wide.push(`${name} ${scheme}`);
    const sheet = `${name}-${scheme}`;
    if (folder) await page.screenshot({ path: join(folder, `${sheet}.png`) });
    await page.addScriptTag({ path: join(modules, 'axe-core/axe.min.js') });
    const { violations } = await page.evaluate(() => axe.run());
    found.violations.push(...violations.map((it) => `${sheet}: ${it.id}: ${it.nodes.map((node) => node.html).join(' ')}`));
    found.views += 1;
    const rows = () => page.$$eval('table.outcomes tbody tr', (rows) => rows.filter((row) => row.offsetHeight > 0).length);
    if (name === 'phone') {
      found.folded = await rows();
      const fold = await page.$('input.fold');
      if (fold) await fold.click();
      found.unfolded = await rows();
      const hint = await page.$('p.hint');
      found.hint = hint && await hint.evaluate((hint) => parseFloat(getComputedStyle(hint).fontSize));
    }
    const sorts = name === 'desk' && await page.$('table.outcomes');
    if (name === 'desk') {
      found.drawings = await page.$$eval('svg[role=img]', (drawings) => drawings.map((drawing) => drawing.getAttribute('aria-label')));
      found.elements = await page.evaluate(() => ({ img: document.images.length, a: document.links.length, scripts: document.scripts.length }));
      found.links = await page.evaluate(() => [...document.links].map((link) => link.getAttribute('href')));
      found.title = await page.$eval('.band h1', (title) => title.textContent);
      found.painted = await page.$eval('svg[role=img]', (drawing) => drawing.getBoundingClientRect().width > 300);
    }
    if (sorts) {
      const column = (nth) => page.$$eval('table.outcomes tbody tr', (rows, nth) => rows.map((row) => row.cells[nth].textContent), nth);
      await (await page.$('table.outcomes th:nth-child(2) button')).click();
      found.sorted = await column(1);
      await (await page.$('table.outcomes th:nth-child(2) button')).click();
      found.backwards = await column(1);
    }
    await page.close();
  }
});
process.stdout.write(JSON.stringify(found));
