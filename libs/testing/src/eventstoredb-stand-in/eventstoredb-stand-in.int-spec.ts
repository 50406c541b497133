import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EventStoreDbStandIn } from './stand-in-server.js';

const FOLDER = resolve(process.env['VAFA_EVENTSTOREDB_CASES'] ?? '../shared/eventstoredb');
const PROGRAM = resolve(FOLDER, 'conformance.mjs');
const isThere = existsSync(PROGRAM);
if (!isThere) process.stderr.write(`The stand-in is not compared with a real EventStoreDB: ${PROGRAM} is not there.\n`);

describe('the stand-in for EventStoreDB', () => {
  let standIn: EventStoreDbStandIn;
  beforeAll(async () => {
    standIn = await EventStoreDbStandIn.start();
  });
  afterAll(() => standIn.stop());

  const run = (): Promise<{ code: number; output: string }> =>
    new Promise((done) => {
      execFile(process.execPath, [PROGRAM, standIn.url], (error, stdout, stderr) =>
        done({ code: error === null ? 0 : 1, output: stdout + stderr }),
      );
    });

  (isThere ? it : it.skip)(
    'answers every recorded case as the real server did, also with a log that is not empty',
    async () => {
      for (let time = 0; time < 2; time++)
        expect(await run()).toEqual({ code: 0, output: '26 as the real server, 0 not\n' });
    },
  );
});
