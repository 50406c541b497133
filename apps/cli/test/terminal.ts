import { PassThrough, type Readable } from 'node:stream';

import { runCli } from '../src/cli.js';
import { commands } from '../src/commands/index.js';

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs command lines in one folder, as somebody at a terminal would. */
export class Terminal {
  constructor(
    readonly folder: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  async run(
    args: readonly string[],
    more: { readonly stdin?: Readable; readonly signal?: AbortSignal } = {},
  ): Promise<Ended> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const texts = [text(stdout), text(stderr)];
    const code = await runCli(commands, args, {
      stdin: more.stdin ?? new PassThrough(),
      stdout,
      stderr,
      env: this.env,
      root: this.folder,
      cwd: this.folder,
      signal: more.signal ?? new AbortController().signal,
    });
    stdout.end();
    stderr.end();
    const [out = '', err = ''] = await Promise.all(texts);
    return { code, stdout: out, stderr: err };
  }

  /** The same with `--json`: the last line of its output. */
  async json(
    args: readonly string[],
    more: { readonly stdin?: Readable } = {},
  ): Promise<Record<string, unknown> & { readonly code: number }> {
    const { code, stdout, stderr } = await this.run([...args, '--json'], more);
    const last = stdout.trim().split('\n').at(-1) ?? '';
    if (last === '') throw new Error(`No output: ${stderr}`);
    return { ...(JSON.parse(last) as Record<string, unknown>), code };
  }
}

const text = async (stream: Readable): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
};
