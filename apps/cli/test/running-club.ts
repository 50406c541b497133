import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../../tools/vafa.mjs', import.meta.url));
const STARTS_WITHIN_MS = 120_000;

export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** The whole club as `npm start` runs it, in a folder of its own, and the commands as somebody calls them. */
export class RunningClub {
  private child: ChildProcess | undefined;
  private output = '';

  private constructor(
    readonly folder: string,
    private readonly settings: Readonly<Record<string, string>>,
  ) {}

  static async start(): Promise<RunningClub> {
    const club = await RunningClub.stopped();
    await club.start();
    return club;
  }

  /** A folder in which nothing has been started yet. */
  static async stopped(settings: Readonly<Record<string, string>> = {}): Promise<RunningClub> {
    const folder = await mkdtemp(join(tmpdir(), 'vafa-cli-'));
    // PostgreSQL runs as a user of its own where this is root.
    await chmod(folder, 0o755);
    return new RunningClub(folder, settings);
  }

  /** The same club with other settings, while it is stopped. */
  with(settings: Readonly<Record<string, string>>): RunningClub {
    return new RunningClub(this.folder, settings);
  }

  async start(): Promise<void> {
    this.output = '';
    const child = spawn(process.execPath, [SCRIPT, 'start'], { env: this.env(), cwd: this.folder });
    this.child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    const deadline = performance.now() + STARTS_WITHIN_MS;
    while (!this.output.includes('Vafa runs')) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`It did not start: ${this.output}`);
      await pause(50);
    }
  }

  /** kill -9, as a crash would end it: only the server, not its database. */
  async crash(): Promise<void> {
    const { pid } = JSON.parse(await readFile(join(this.folder, 'data', 'run.json'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await this.ended();
  }

  async stop(): Promise<void> {
    if (this.child?.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.ended();
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }

  /** A program of the checkout without the script around it, for those who kill it. */
  program(name: string, ...args: string[]): ChildProcess {
    const file = fileURLToPath(new URL(`../../../apps/${name}`, import.meta.url));
    return spawn(process.execPath, [file, ...args], { env: this.env(), cwd: this.folder, stdio: 'ignore' });
  }

  /** Runs a command to its end. */
  async vafa(...args: string[]): Promise<Ended> {
    const child = spawn(process.execPath, [SCRIPT, ...args], { env: this.env(), cwd: this.folder });
    child.stdin.end();
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  /** The same with `--json`: its last line. */
  async json(...args: string[]): Promise<Record<string, unknown>> {
    const { stdout, stderr, code } = await this.vafa(...args, '--json');
    const last = stdout.trim().split('\n').at(-1) ?? '';
    if (last === '') throw new Error(`No output (exit code ${code}): ${stderr}`);
    return { ...(JSON.parse(last) as Record<string, unknown>), code };
  }

  private env(): NodeJS.ProcessEnv {
    const { NODE_OPTIONS: _options, ...rest } = process.env;
    return { ...rest, VAFA_DATA: join(this.folder, 'data'), VAFA_PORT: '0', VAFA_DATABASE_PORT: '0', ...this.settings };
  }

  private async ended(): Promise<void> {
    const { child } = this;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}
