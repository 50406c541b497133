import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, type DynamicModule, type OnModuleInit } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { deferred, eventually, withTestDatabase } from '@vafa/testing';
import { Permission } from './auth/access.js';
import { EmbeddedIssuer } from './auth/issuer.js';
import { defineConfig, integer, setting } from './config.js';
import type { ServiceDefinition } from './definition.js';
import { EXIT, runService } from './run-service.js';

@Controller('v1/echo')
class EchoController {
  @Get() @Permission('operations:read') echo(): { echo: true } {
    return { echo: true };
  }
}

class EchoModule {}

const config = defineConfig({
  volume: setting('VAFA_ECHO_VOLUME', integer({ min: 0, max: 11 }), { default: 5, description: 'how loud' }),
});

const echo: ServiceDefinition<{ readonly volume: number }> = {
  name: 'echo',
  description: 'Echo.',
  paths: [/^\/v1\/echo/],
  module: (): DynamicModule => ({ module: EchoModule, controllers: [EchoController] }),
  topics: [],
  group: 'echo',
  migrations: { schema: 'echo', role: 'vafa_echo', migrations: [] },
  entities: [],
  config,
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

describe('a service as a process of its own', () => {
  const database = withTestDatabase();
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vafa-run-'));
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  it('migrates, serves until it is told to stop, and ends well', async () => {
    const port = await freePort();
    const env = {
      VAFA_DATABASE_URL: database.url,
      VAFA_MIGRATE: 'true',
      VAFA_PORT: String(port),
      VAFA_DATA: folder,
      VAFA_LOG_LEVEL: 'error',
    };
    const ended = runService(echo, env);
    const ready = `http://127.0.0.1:${port}/health/ready`;
    await eventually(async () => expect((await fetch(ready)).status).toBe(200));
    const issuer = await EmbeddedIssuer.open({ folder: join(folder, 'keys'), production: false });
    const headers = { authorization: `Bearer ${await issuer.mint({ role: 'auditor' })}` };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/echo`, { headers });
    expect(await answer.json()).toEqual({ echo: true });
    process.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(EXIT.done);
    await expect(fetch(ready)).rejects.toThrow();
  });

  it('says that it lives and is not ready while it waits for what it needs', async () => {
    const gate = deferred();
    class WaitingModule implements OnModuleInit {
      onModuleInit(): Promise<void> {
        return gate.promise;
      }
    }
    const waiting = { ...echo, module: () => ({ module: WaitingModule, controllers: [EchoController] }) };
    const port = await freePort();
    const env = {
      VAFA_DATABASE_URL: database.url,
      VAFA_MIGRATE: 'true',
      VAFA_PORT: String(port),
      VAFA_DATA: folder,
      VAFA_LOG_LEVEL: 'error',
    };
    const ended = runService(waiting, env);
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
    await eventually(async () => expect((await get('/health/live')).status).toBe(200));
    const ready = await get('/health/ready');
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { ready: false, checks: { start: { ok: false, durationMs: expect.any(Number) } } },
    ]);
    const refused = await get('/v1/echo');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ detail: 'The service is starting.' });
    gate.resolve();
    await eventually(async () => expect((await get('/health/ready')).status).toBe(200));
    process.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(EXIT.done);
    await expect(get('/health/live')).rejects.toThrow();
  });

  it('does not start with settings that are wrong, and names them all', async () => {
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await runService(echo, { VAFA_ECHO_VOLUME: '12', VAFA_PORT: 'x' })).toBe(EXIT.misconfigured);
    const lines = written.mock.calls.join('');
    expect(lines).toContain('VAFA_ECHO_VOLUME must be a whole number from 0 to 11');
    expect(lines).toContain('VAFA_PORT must be');
    written.mockClear();
    expect(await runService(echo, {})).toBe(EXIT.misconfigured);
    expect(written.mock.calls.join('')).toContain('VAFA_DATABASE_URL is not set');
    written.mockRestore();
  });

  it('fails, and lets go of everything, where its database is not there', async () => {
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const port = await freePort();
    const env = { VAFA_DATABASE_URL: `postgresql://nobody@127.0.0.1:${port}/none`, VAFA_DATA: folder };
    expect(await runService(echo, env)).toBe(EXIT.failed);
  });
});
