import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';

import { runCli } from './cli.js';
import { Refusal, type Command, type CommandInput, type ExitCode } from './command.js';
import { commands } from './commands/index.js';

const run = async (args: readonly string[], all: readonly Command[] = commands) => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await runCli(all, args, {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env: { VAFA_DATA: '/nonexistent/vafa' },
    root: '/nonexistent',
    cwd: '/nonexistent',
    signal: new AbortController().signal,
  });
  const text = (stream: PassThrough): string => String(stream.read() ?? '');
  return { code, stdout: text(stdout), stderr: text(stderr) };
};

describe('the command line', () => {
  it('lists its commands, and none that do not exist yet', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const { name } of commands) expect(stdout).toContain(name);
    expect(stdout).not.toMatch(/programme/);
  });

  it('says what is wrong and what may be meant, with exit code 2', async () => {
    expect(await run([])).toMatchObject({ code: 2, stdout: '' });
    expect(await run(['statu'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean "status"?') });
    expect(await run(['import', 'purchase', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"import purchases"'),
    });
    expect(await run(['import', 'purchases', '--enroll', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"--enrol"'),
    });
    expect(await run(['import', 'purchases'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('needs FILE'),
    });
    expect(await run(['status', 'now'])).toMatchObject({ code: 2, stderr: expect.stringContaining('"now"') });
    expect(await run(['--verbose'])).toMatchObject({ code: 2 });
    expect(await run(['token', '--role', 'cachier'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"cashier"'),
    });
    expect(await run(['clock', 'advnce', '1h'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"advance"'),
    });
    expect(await run(['clock', 'set', 'noon'])).toMatchObject({ code: 2, stderr: expect.stringContaining('noon') });
  });

  it('helps with every command', async () => {
    for (const { name, summary, options } of commands) {
      for (const args of [
        [...name.split(' '), '--help'],
        ['help', ...name.split(' ')],
      ]) {
        const { code, stdout } = await run(args);
        expect(code).toBe(0);
        expect(stdout).toContain(`Usage: vafa ${name}`);
        expect(stdout.replaceAll(/\s+/g, ' ')).toContain(summary);
        for (const option of Object.keys(options)) expect(stdout).toContain(`--${option}`);
      }
    }
    expect(await run(['import', '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('import members'),
    });
  });

  it('says in one sentence what cannot be done now, with exit code 1', async () => {
    expect(await run(['status'])).toMatchObject({ code: 1, stdout: expect.stringContaining('npm start') });
    expect(await run(['status', '--json'])).toEqual({ code: 1, stdout: '{"running":false}\n', stderr: '' });
    expect(await run(['verify'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Vafa does not run here.*\n$/),
    });
    expect(await run(['import', 'purchases', 'none.csv'])).toMatchObject({
      code: 1,
      stderr: 'There is no file none.csv.\n',
    });
  });

  it('hides nothing of a bug', async () => {
    const failing = (error: Error): Command => ({
      name: 'fail',
      summary: '',
      options: {},
      positionals: { min: 0, max: 0 },
      run: (_input: CommandInput): Promise<ExitCode> => Promise.reject(error),
    });
    expect(await run(['fail'], [failing(new Error('bug'))])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cli.spec'),
    });
    expect(await run(['fail'], [failing(new Refusal('no'))])).toEqual({ code: 1, stdout: '', stderr: 'no\n' });
  });
});
