// Owns an embedded PostgreSQL in a process of its own, so that a test can kill the owner. Prints one JSON line when it
// runs, stops in order when its input ends. To be run with the hooks of libs/testing, on the sources.
import { startEmbeddedPostgres } from '@vafa/persistence/embedded';

const [dataDir, port] = process.argv.slice(2);
const server = await startEmbeddedPostgres({
  dataDir,
  port: Number(port ?? 0),
  durable: false,
  log: (line) => console.error(line),
});
console.log(JSON.stringify({ url: server.url, port: server.port, pid: server.pid }));
process.stdin.resume().once('end', () => void server.stop());
