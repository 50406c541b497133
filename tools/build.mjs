#!/usr/bin/env node
// Compiles projects from src/*.ts to dist/*.js with SWC, one process for all of them (one to two seconds).
//
//   node tools/build.mjs                 every project
//   node tools/build.mjs libs/contracts  the named ones
//
// Types are checked by `npm run check`, not here. Decorator metadata is emitted, which Node's own type stripping does not do.
import { transformFile } from '@swc/core';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const swc = JSON.parse(readFileSync(join(root, '.swcrc'), 'utf8'));

/** Every project that has sources, as paths from the root. */
export async function projects() {
  const found = [];
  for (const group of ['libs', 'apps'])
    for (const name of await readdir(join(root, group)))
      if (existsSync(join(root, group, name, 'src'))) found.push(`${group}/${name}`);
  return found.sort();
}

/** Compiles one project into a folder beside `dist` and swaps it in, so that a build that is cut off leaves the old one whole. */
export async function build(project) {
  const source = join(root, project, 'src');
  const target = join(root, project, 'dist');
  const fresh = `${target}.${process.pid}`;
  await rm(fresh, { recursive: true, force: true });
  const files = await readdir(source, { recursive: true, withFileTypes: true });
  await Promise.all(
    files
      .filter((file) => file.isFile() && !/\.(int-|e2e-)?spec\.ts$/.test(file.name))
      .map(async (file) => {
        const from = join(file.parentPath, file.name);
        const to = join(fresh, relative(source, from));
        await mkdir(dirname(to), { recursive: true });
        if (!file.name.endsWith('.ts')) return cp(from, to);
        const { code, map } = await transformFile(from, { ...swc, swcrc: false });
        const output = to.replace(/\.ts$/, '.js');
        await writeFile(output, `${code}\n//# sourceMappingURL=${file.name.replace(/\.ts$/, '.js.map')}\n`);
        await writeFile(`${output}.map`, map ?? '{}');
      }),
  );
  await mkdir(fresh, { recursive: true });
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const project of wanted.length > 0 ? wanted : await projects()) await build(project);
}
