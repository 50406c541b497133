import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { Refusal, type Surroundings } from '../command.js';

/**
 * Surroundings in which the database is there while the club is stopped: `VAFA_DATABASE_URL`, or the embedded one, which is started for as long as
 * `work` takes. @throws Refusal where it is in use.
 */
export const withStoppedDatabase = async <Result>(
  surroundings: Surroundings,
  work: (surroundings: Surroundings) => Promise<Result>,
): Promise<Result> => {
  const { env, root } = surroundings;
  if ((env['VAFA_DATABASE_URL'] ?? '').trim() !== '') return work(surroundings);
  const program = join(root, 'apps', 'standalone', 'dist', 'database-main.js');
  const child = spawn(process.execPath, [program], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let told = '';
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  const ready = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text;
      if (told.includes('\n')) resolve((JSON.parse(told) as { databaseOwner: string }).databaseOwner);
    });
  });
  try {
    const databaseOwner = await Promise.race([ready, ended.then(() => undefined)]);
    if (databaseOwner === undefined) throw new Refusal(complaint.trim());
    return await work({ ...surroundings, env: { ...env, VAFA_DATABASE_URL: databaseOwner } });
  } finally {
    child.stdin.end();
    await ended;
  }
};
