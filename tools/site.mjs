#!/usr/bin/env node
// Writes what the reverse proxy of a distributed installation serves itself: the documentation of the API with one OpenAPI document
// of all services, as standalone serves it.
//
//   node tools/site.mjs FOLDER
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DOCUMENTATION_PATHS, documentationPage, mergeOpenApi } from '@vafa/standalone';
import { ROOT } from './bootstrap/root.mjs';

const EXIT_USAGE = 2;

/** Writes the pages into `folder`, each under the path that it is asked for; `/docs` is `docs/index.html`. */
export async function writeSite(folder) {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const files = new Map([['openapi.json', JSON.stringify(mergeOpenApi(await documents(), version))]]);
  for (const path of DOCUMENTATION_PATHS) {
    const { body } = await documentationPage(path);
    files.set(path === '/docs' ? 'docs/index.html' : path.slice(1), body);
  }
  for (const [name, body] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), body);
  }
  return [...files.keys()];
}

/** The document of each service that has one, as it is checked in. */
async function documents() {
  const found = [];
  for (const name of await readdir(join(ROOT, 'apps'))) {
    const text = await readFile(join(ROOT, 'apps', name, 'openapi.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) found.push({ name, openapi: JSON.parse(text) });
  }
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    process.stderr.write('Say where to: node tools/site.mjs FOLDER\n');
    process.exitCode = EXIT_USAGE;
  } else process.stdout.write(`${(await writeSite(folder)).length} files written to ${folder}\n`);
}
