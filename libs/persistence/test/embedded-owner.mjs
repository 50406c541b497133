// Owns an embedded PostgreSQL in a process of its own, so that a test can kill the owner. Prints one JSON line when it
// runs, stops in order when its input ends. Sources are loaded as they are: Node strips the types.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(context.parentURL?.endsWith('.ts') ? specifier.replace(/^(\.{1,2}\/.*)\.js$/, '$1.ts') : specifier, context),
});

const { startEmbeddedPostgres } = await import('../src/embedded/embedded-postgres.ts');
const [dataDir, port] = process.argv.slice(2);
try {
  const server = await startEmbeddedPostgres({
    dataDir,
    port: Number(port ?? 0),
    durable: false,
    log: (line) => console.error(line),
  });
  console.log(JSON.stringify({ url: server.url, port: server.port, pid: server.pid }));
  process.stdin.resume().once('end', () => void server.stop());
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
