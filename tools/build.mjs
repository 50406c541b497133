#!/usr/bin/env node
// Compiles projects from src/*.ts to dist/*.js with SWC, one process for all of them (one to two seconds).
//
//   node tools/build.mjs                 every project
//   node tools/build.mjs libs/contracts  the named ones
//
// Types are checked by `npm run check`, not here. Decorator metadata is emitted, which Node's own type stripping does not do.
import { transformFile } from '@swc/core';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, projects, STAMP } from './bootstrap/fingerprint.mjs';
import { ROOT } from './bootstrap/root.mjs';

const swc = JSON.parse(readFileSync(join(ROOT, '.swcrc'), 'utf8'));

/** Compiles one project into a folder beside `dist` and swaps it in, so that a build that fails leaves the old one whole. */
export async function build(project) {
  const target = join(ROOT, project, 'dist');
  const fresh = `${target}.${process.pid}`;
  try {
    await compileAll(join(ROOT, project, 'src'), fresh, fingerprint(project));
    await rm(target, { recursive: true, force: true });
    await rename(fresh, target);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** The stamp was taken before the files are read: a file changed meanwhile makes the output stale, not wrongly fresh. */
async function compileAll(source, target, stamp) {
  await mkdir(target, { recursive: true });
  const files = await readdir(source, { recursive: true, withFileTypes: true });
  await Promise.all(
    files
      .filter((file) => file.isFile() && !/\.(int-|e2e-|kafka-|eventstoredb-)?spec\.ts$/.test(file.name))
      .map((file) =>
        compile(join(file.parentPath, file.name), join(target, relative(source, file.parentPath), file.name)),
      ),
  );
  await writeFile(join(target, STAMP), stamp);
}

async function compile(from, to) {
  await mkdir(dirname(to), { recursive: true });
  if (!from.endsWith('.ts')) return cp(from, to);
  const { code, map } = await transformFile(from, { ...swc, swcrc: false });
  const output = to.replace(/\.ts$/, '.js');
  const name = output.slice(dirname(output).length + 1);
  await writeFile(output, `${code}\n//# sourceMappingURL=${name}.map\n`);
  await writeFile(`${output}.map`, map ?? '{}');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const project of wanted.length > 0 ? wanted : projects()) await build(project);
}
