// A real Kafka for benchmarks: the brokers of VAFA_TEST_KAFKA_BROKERS, else one that is started on free ports by the script of VAFA_ENGINES
// (../shared/engines unless told) and cleaned away afterwards.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SPAN = 3;
const TRIES = 50;
const run = promisify(execFile);

/**
 * @returns {Promise<{ brokers: string[], close(): Promise<void> } | undefined>} undefined where there is none
 */
export async function openKafka() {
  const given = process.env.VAFA_TEST_KAFKA_BROKERS ?? '';
  if (given !== '') return { brokers: given.split(','), close: async () => undefined };
  const script = join(process.env.VAFA_ENGINES ?? join(ROOT, '..', 'shared', 'engines'), 'kafka', 'kafka');
  if (!existsSync(script)) return undefined;
  const port = await freePorts();
  const env = { ...process.env, KAFKA_DIR: mkdtempSync(join(tmpdir(), 'vafa-kafka-')), KAFKA_PORT: String(port) };
  await run(script, ['start'], { env });
  return {
    brokers: [`127.0.0.1:${port}`],
    close: async () => {
      await run(script, ['clean'], { env });
    },
  };
}

/** The first of three ports in a row that nobody has. */
async function freePorts() {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all(Array.from({ length: SPAN }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
  throw new Error('no three free ports in a row were found');
}

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
