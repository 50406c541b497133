// What the documents list must be all there is of it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CONTRACTS } from '@vafa/contracts';
import { registeredSettings } from '@vafa/service';
// Loaded for the settings that it and the services declare.
import '@vafa/standalone';
import { ROOT } from './bootstrap/root.mjs';

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
/** The first cells of the rows of every table on a page. */
const rows = (page) => [...page.matchAll(/^\| ([^|]+?) +\|/gm)].map(([, cell]) => cell);

const decisions = readdirSync(join(ROOT, 'docs/adr')).filter((name) => /^\d{4}-/.test(name));

describe('the decisions', () => {
  it('are numbered from 1 without a gap, each once', () => {
    expect(decisions.map((name) => Number(name.slice(0, 4))).sort((one, other) => one - other)).toEqual(
      decisions.map((_name, index) => index + 1),
    );
  });

  it('stand in the index, in their order, with their titles', () => {
    const listed = [...read('docs/adr/README.md').matchAll(/^\| \[\d{4}\]\((\S+)\) +\| (.+?) +\|$/gm)];
    expect(listed.map(([, file, title]) => [file, title])).toEqual(
      decisions.sort().map((name) => [name, read(`docs/adr/${name}`).split('\n')[0].slice('# 0000 '.length)]),
    );
  });
});

describe('what is listed', () => {
  it('are all events in the README of the contracts', () => {
    const listed = rows(read('libs/contracts/README.md')).filter((cell) => /^(commerce|loyalty)\./.test(cell));
    expect(listed.sort()).toEqual(Object.keys(CONTRACTS).sort());
  });

  it('are all settings, on a page that people who run it read', () => {
    const pages = ['operations', 'security', 'statements'].map((name) => read(`docs/${name}.md`)).join('\n');
    // Of two that begin alike the second may be written by its end.
    const forms = (name) => [name, ...[...name.matchAll(/_/g)].map(({ index }) => `…${name.slice(index)}`)];
    const listed = (name) => forms(name).some((form) => pages.includes(`\`${form}\``) || pages.includes(`\`${form}=`));
    const names = registeredSettings().map(({ name }) => name);
    expect(names).toContain('VAFA_ZONE');
    expect(names.filter((name) => !listed(name))).toEqual([]);
  });

  it('are all suites in CONTRIBUTING', () => {
    const suites = Object.keys(JSON.parse(read('package.json')).scripts).filter((name) => name.startsWith('test:'));
    const page = read('CONTRIBUTING.md');
    expect(suites.filter((name) => !page.includes(`npm run ${name}`))).toEqual([]);
  });

  it('are all commands in the README of the command line', () => {
    const source = read('apps/cli/src/commands/index.ts');
    const files = [...source.matchAll(/from '\.\/([a-z-]+\.js)'/g)].map(([, name]) => name.replace('.js', '.ts'));
    const names = files.flatMap((file) =>
      [...read(`apps/cli/src/commands/${file}`).matchAll(/^ +name: '([a-z -]+)',$/gm)].map(([, name]) => name),
    );
    const listed = rows(read('apps/cli/README.md')).join(' ');
    expect(names).toEqual(expect.arrayContaining(['migrate', 'inbox list']));
    // A command of several words may stand under its first.
    const missing = names.filter(
      (name) => !listed.includes(`\`${name}\``) && !listed.includes(`\`${name.split(' ')[0]}\``),
    );
    expect(missing).toEqual([]);
  });
});

const pages = (folder) =>
  readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (/^(node_modules|dist|\..*)$/.test(entry.name)) return [];
    if (entry.isDirectory()) return pages(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });

/** The anchor that a heading gets. */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

describe('links', () => {
  it.each(pages('.'))('of %s lead somewhere', (page) => {
    const text = read(page).replaceAll(/^```[^]*?^```/gm, '');
    const dead = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path, hash] = target.split('#');
        const file = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(ROOT, file))) return true;
        if (hash === undefined) return false;
        return ![...read(file).matchAll(/^#+ (.+)$/gm)].some(([, heading]) => anchor(heading) === hash);
      });
    expect(dead).toEqual([]);
  });
});
