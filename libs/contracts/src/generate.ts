import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asyncApiDocument } from './async-api.js';
import { CONTRACTS, EVENT_TYPES, eventSchema } from './events.js';

/** What is generated from the contracts and checked in: paths within the package, and contents. */
export function generatedContracts(): ReadonlyMap<string, string> {
  const files = new Map<string, unknown>([['asyncapi.json', asyncApiDocument()]]);
  for (const type of EVENT_TYPES) {
    files.set(`schemas/${type}.schema.json`, eventSchema(type));
    if (CONTRACTS[type].direction === 'in') files.set(`schemas/${type}.http.schema.json`, eventSchema(type, 'http'));
  }
  return new Map([...files].map(([path, content]) => [path, `${JSON.stringify(content, null, 2)}\n`]));
}

/** Writes them, and removes schemas of events that are no more. */
export function writeContracts(packageFolder: string): void {
  const files = generatedContracts();
  const schemas = join(packageFolder, 'schemas');
  mkdirSync(schemas, { recursive: true });
  for (const name of readdirSync(schemas)) if (!files.has(`schemas/${name}`)) rmSync(join(schemas, name));
  for (const [path, content] of files) writeFileSync(join(packageFolder, path), content);
}

// `node libs/contracts/dist/generate.js`
if (process.argv[1] === fileURLToPath(import.meta.url)) writeContracts(fileURLToPath(new URL('..', import.meta.url)));
