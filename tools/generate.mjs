// Writes what follows from the sources and is checked in: the OpenAPI document of each service, the JSON Schemas and the
// AsyncAPI document of the events, the tables of docs/security.md, the routes of the reverse proxy. And asks TypeORM for the migration that it would write, which must be empty.
//
//   npm run generate              writes
//   npm run generate -- --check   writes nothing, lists what differs, exit 1 if anything does
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatedContracts } from '@vafa/contracts';
import { startEmbeddedPostgres } from '@vafa/persistence';
import { loadServices, readStandaloneConfig, startStandalone } from '@vafa/standalone';
import { format, resolveConfig } from 'prettier';
import { DataSource } from 'typeorm';
import { actTable, permissionTables } from './permission-tables.mjs';
import { proxyRoutes } from './proxy-routes.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = () => undefined;

/** What the sources give: path from the root → content. */
async function generated() {
  const files = new Map();
  for (const [path, content] of generatedContracts()) files.set(join('libs/contracts', path), content);
  const problems = [];
  await withServices(async ({ documents, url, services }) => {
    for (const [name, document] of documents)
      files.set(`apps/${name}/openapi.json`, `${JSON.stringify(document, null, 2)}\n`);
    files.set('docs/security.md', await withTables('docs/security.md', documents));
    files.set('deploy/proxy/Caddyfile', await withRoutes('deploy/proxy/Caddyfile', services));
    for (const service of services) problems.push(...(await schemaDrift(url, service)));
  });
  return { files, problems };
}

/** A page with its tables of permissions and acts as they are now. */
async function withTables(path, documents) {
  const page = await readFile(join(ROOT, path), 'utf8');
  const parts = { permissions: permissionTables(documents.map(([, document]) => document)), acts: actTable() };
  const written = page.replace(
    /(<!-- generated: (\w+) -->)[^]*?(<!-- end -->)/g,
    (_all, begin, name, end) => `${begin}\n\n${parts[name]}\n\n${end}`,
  );
  return format(written, { ...(await resolveConfig(join(ROOT, path))), filepath: path });
}

/** The reverse proxy's configuration with the paths that each service claims now. */
async function withRoutes(path, services) {
  const page = await readFile(join(ROOT, path), 'utf8');
  return page.replace(
    /(# generated: routes\n)[^]*(# end\n)/,
    (_all, begin, end) => `${begin}${proxyRoutes(services)}\n${end}`,
  );
}

/** Runs the real services on a database of their own, as their documents come from what they really serve. */
async function withServices(work) {
  const folder = await mkdtemp(join(tmpdir(), 'vafa-generate-'));
  await chmod(folder, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'postgres'),
    port: 0,
    durable: false,
    log: quiet,
  });
  try {
    const env = { VAFA_PORT: '0', VAFA_DATA: folder, VAFA_DATABASE_URL: server.url, VAFA_LOG_LEVEL: 'warn' };
    const services = loadServices(env);
    const config = readStandaloneConfig(env, ROOT);
    const standalone = await startStandalone({ config, services, version: '0.0.0', say: quiet });
    try {
      const documents = standalone.services.map(({ name, openapi }) => [name, openapi]);
      await work({ documents, url: server.url, services });
    } finally {
      await standalone.stop();
    }
  } finally {
    await server.stop({ hurry: true });
    await rm(folder, { recursive: true, force: true });
  }
}

/** The statements by which TypeORM would make the migrated tables fit the entities: none, or the two have drifted apart. */
async function schemaDrift(url, { name, entities, migrations }) {
  if (entities.length === 0) return [];
  const source = new DataSource({
    type: 'postgres',
    url,
    schema: migrations.schema,
    entities: [...entities],
    installExtensions: false,
  });
  await source.initialize();
  try {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    return upQueries.map(({ query }) => `The entities of ${name} and its migrations have drifted apart: ${query}`);
  } finally {
    await source.destroy();
  }
}

/** Paths of generated files that are checked in, to find those that nothing gives any more. */
async function present() {
  const schemas = await readdir(join(ROOT, 'libs/contracts/schemas')).catch(() => []);
  return schemas.map((name) => `libs/contracts/schemas/${name}`);
}

async function compare(files) {
  const different = [];
  for (const [path, content] of files)
    if ((await readFile(join(ROOT, path), 'utf8').catch(() => undefined)) !== content) different.push(path);
  for (const path of await present()) if (!files.has(path)) different.push(path);
  return different;
}

async function write(files, paths) {
  for (const path of paths) {
    const content = files.get(path);
    if (content === undefined) await rm(join(ROOT, path));
    else {
      await mkdir(dirname(join(ROOT, path)), { recursive: true });
      await writeFile(join(ROOT, path), content);
    }
  }
}

const check = process.argv.includes('--check');
const { files, problems } = await generated();
const different = await compare(files);
if (check) problems.push(...different.map((path) => `${path} is not what the sources give: run npm run generate.`));
else await write(files, different);
for (const problem of problems) console.error(problem);
if (!check)
  console.log(
    different.length === 0
      ? 'All generated files are up to date.'
      : `Written: ${different.map((path) => relative('.', path)).join(', ')}`,
  );
process.exit(problems.length > 0 ? 1 : 0);
