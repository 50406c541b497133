import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The surroundings without what a shell has set for Vafa: each process gets its own settings and no other. */
const bare = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('VAFA_') && name !== 'NODE_OPTIONS'),
  );

/** A program with what it has said so far. Whoever starts it ends it. */
export class Program {
  output = '';
  private readonly child: ChildProcess;
  private readonly closed: Promise<void>;

  constructor(command: string, words: readonly string[], env: Readonly<Record<string, string>>) {
    this.child = spawn(command, words, { cwd: ROOT, env: { ...bare(), ...env } });
    this.closed = new Promise((resolve) => this.child.once('close', () => resolve()));
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The address that a service names in its log once it serves requests. */
  get url(): string | undefined {
    const line = this.output.split('\n').find((one) => one.includes('"msg":"ready"'));
    return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Its exit code once it has ended and its output is here whole; null where a signal ended it. */
  async ended(): Promise<number | null> {
    await this.closed;
    return this.child.exitCode;
  }
}

/** One service as it is deployed: its built program, with these settings and no other. */
export const startProcess = (service: string, env: Readonly<Record<string, string>>): Program =>
  new Program(process.execPath, [`apps/${service}/dist/main.js`], { VAFA_PORT: '0', ...env });
