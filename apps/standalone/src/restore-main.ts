import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';
import { complain, tell } from './announce.js';
import { restoreInstallation } from './restore.js';
import { loadServices } from './services.js';
import { readStandaloneConfig } from './standalone-config.js';

// What `vafa restore` runs: it has checked the words of the command line, and gives absolute names of files.
const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const PEOPLE = new Set(['StartupError', 'ConfigError', 'ArchiveError']);

const { values, positionals } = parseArgs({
  options: { force: { type: 'boolean' }, json: { type: 'boolean' }, keys: { type: 'string' } },
  allowPositionals: true,
});

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

try {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  const file = positionals[0] ?? '';
  const beside = values.keys ?? `${file}.keys`;
  const restored = await restoreInstallation({
    config: readStandaloneConfig(process.env, ROOT),
    services: loadServices(process.env),
    file,
    keys: (await exists(beside)) ? beside : null,
    replace: values.force === true,
    say: (line) => complain(line),
  });
  if (values.json === true) tell(JSON.stringify({ ...restored, version }));
  else {
    tell(
      `Restored ${restored.rows.toLocaleString('en')} rows of ${restored.tables} tables, as of ${restored.createdAt.slice(0, 19)}Z.`,
    );
    tell(
      restored.keys.length === 0
        ? 'No keys were beside the backup: dead letters written before can be read only with their key (keys/dead-letters.key, or VAFA_DEAD_LETTER_KEY).'
        : `Keys put in place: ${restored.keys.join(', ')}.`,
    );
    tell('Start it with "npm start", then "npm run vafa -- verify" proves it.');
  }
} catch (error) {
  process.exitCode = 1;
  complain(error instanceof Error && PEOPLE.has(error.name) ? error.message : inspect(error));
}
// Whatever timer a library left must not keep the process.
process.exit();
