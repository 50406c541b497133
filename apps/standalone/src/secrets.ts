import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The secret in a file that only this user may read, made on first use. */
export async function secretIn(file: string): Promise<string> {
  const known = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (known !== '') return known;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 });
  // Whoever comes second takes the first one's secret.
  await link(draft, file).catch(() => undefined);
  await rm(draft, { force: true });
  return (await readFile(file, 'utf8')).trim();
}
