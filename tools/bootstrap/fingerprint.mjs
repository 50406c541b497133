import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.mjs';

/** Name of the file in each `dist` that says of which sources it was made. */
export const STAMP = '.stamp';

// What every project's output depends on, beside its own sources.
const COMMON = ['.swcrc', 'tools/build.mjs'];

/** Every project that has sources, as paths from the root. */
export function projects(root = ROOT) {
  return ['libs', 'apps'].flatMap((group) =>
    readdirSync(join(root, group))
      .filter((name) => existsSync(join(root, group, name, 'src')))
      .map((name) => `${group}/${name}`)
      .sort(),
  );
}

/** Names, sizes and times of a project's sources as one hash: a look at the folders alone, some milliseconds for all projects. */
export function fingerprint(project, root = ROOT) {
  const hash = createHash('sha256');
  for (const file of COMMON) addFile(hash, join(root, file), file);
  addFolder(hash, join(root, project, 'src'), 'src');
  return hash.digest('hex');
}

function addFolder(hash, folder, name) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) addFolder(hash, path, `${name}/${entry.name}`);
    else addFile(hash, path, `${name}/${entry.name}`);
  }
}

function addFile(hash, path, name) {
  const { size, mtimeMs } = statSync(path);
  hash.update(`${name}\0${size}\0${mtimeMs}\n`);
}

/** The projects whose output is missing or made of other sources. */
export function staleProjects(root = ROOT) {
  return projects(root).filter(
    (project) => readStamp(join(root, project, 'dist', STAMP)) !== fingerprint(project, root),
  );
}

function readStamp(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
