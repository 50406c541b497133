import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.js';
import { lives } from './lives.js';

(existsSync('/proc') ? it : it.skip)(
  'a process that has ended does not live, also where nobody asks about it',
  async () => {
    // The parent becomes a program that knows nothing of its child.
    const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    await eventually(() => expect(lives(Number(line))).toBe(false));
    expect(lives(parent.pid ?? 0)).toBe(true);
    const ended = once(parent, 'exit');
    parent.kill('SIGKILL');
    await ended;
    expect(lives(parent.pid ?? 0)).toBe(false);
  },
);
