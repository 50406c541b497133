import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { Refusal } from '../command.js';
import { codeOf } from '../errors.js';
import { isAlive } from '../installation/run-file.js';

const ATTEMPTS_MAX = 3;

/**
 * Keeps two runs of the same import apart: they would change nothing in the club, but write over each other's checkpoint and
 * rejected rows. Gives what lets go of it. What a crash left behind is taken over. @throws Refusal while another run lives.
 */
export const lockImport = async (checkpointPath: string): Promise<() => Promise<void>> => {
  const path = `${checkpointPath}.lock`;
  await mkdir(dirname(path), { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const holder = Number(await readFile(path, 'utf8').catch(() => ''));
      if (attempt === ATTEMPTS_MAX || (holder > 0 && holder !== process.pid && isAlive(holder)))
        throw new Refusal(
          `This import is under way already (process ${holder}): wait for it or stop it. If that process is something else, remove ${path}.`,
        );
      await rm(path, { force: true });
    }
  }
};
