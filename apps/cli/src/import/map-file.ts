import { access, readFile, writeFile } from 'node:fs/promises';

import { Refusal } from '../command.js';

/** Reads a map. @throws Refusal where there is none. */
export const readMapFile = async (path: string, name: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new Refusal(`The map ${name} cannot be read. --init-map drafts one from the file.`);
  }
};

/** Writes a drafted map where there is none yet. @throws Refusal rather than overwrite somebody's work. */
export const writeMapFile = async (path: string, name: string, draft: string): Promise<void> => {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) throw new Refusal(`${name} is there already; a draft does not overwrite it.`);
  await writeFile(path, draft);
};
