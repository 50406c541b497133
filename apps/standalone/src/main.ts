import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { complain, HELP, tell } from './announce.js';
import { serve } from './serve.js';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const EXIT_USAGE = 2;

const unknown = process.argv.slice(2).find((word) => word !== '--help' && word !== '-h');
if (unknown !== undefined) {
  complain(`npm start knows no "${unknown}": settings are environment variables, see npm start -- --help.`);
  process.exitCode = EXIT_USAGE;
} else if (process.argv.length > 2) {
  tell(HELP);
} else {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  await serve({ root: ROOT, version });
}
