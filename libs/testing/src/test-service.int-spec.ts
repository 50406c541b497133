import { Body, Controller, Get, Inject, Post, type DynamicModule } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { InboundEvent } from '@vafa/messaging';
import { Permission, Public, defineConfig, integer, setting, type ServiceContext } from '@vafa/service';
import type { ServiceDefinition } from '@vafa/service';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { deferred, eventually } from './eventually.js';
import { startTestService, type TestService } from './test-service.js';
import { withTestDatabase } from './with-test-database.js';

class Notes1763800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table notes.notes (note text not null)');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const config = defineConfig({
  notesMax: setting('VAFA_NOTES_MAX', integer({ min: 1, max: 10 }), { default: 3, description: 'notes at most' }),
});

type Context = ServiceContext<{ readonly notesMax: number }>;
const CONTEXT = Symbol('context');
let slowEntered = deferred();

@Controller('v1/notes')
class NotesController {
  constructor(@Inject(CONTEXT) private readonly context: Context) {}

  @Post() @Permission('purchases:write') async add(@Body() body: { note: string }): Promise<{ count: number }> {
    const { database } = this.context;
    await database.query('insert into notes.notes values ($1)', [body.note]);
    const [row] = await database.query<{ count: number }>('select count(*) from notes.notes');
    return { count: row?.count ?? 0 };
  }

  @Get('slow') @Public() async slow(): Promise<string> {
    slowEntered.resolve();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return 'done';
  }
}

@Controller()
class MembersHandler {
  constructor(@Inject(CONTEXT) private readonly context: Context) {}

  @EventPattern('loyalty.member.enrolled') async enrolled(@Payload() event: InboundEvent): Promise<void> {
    await this.context.database.query('insert into notes.notes values ($1)', [event.id]);
  }
}

class NotesModule {}

const notes: ServiceDefinition<{ readonly notesMax: number }> = {
  name: 'notes',
  description: 'Notes.',
  paths: [/^\/v1\/notes/],
  module: (context): DynamicModule => ({
    module: NotesModule,
    controllers: [NotesController, MembersHandler],
    providers: [{ provide: CONTEXT, useValue: context }],
  }),
  topics: ['loyalty.members'],
  group: 'notes',
  migrations: { schema: 'notes', role: 'vafa_notes', migrations: [Notes1763800000000] },
  entities: [],
  config,
};

const MEMBER = '0199aaaa-0000-7000-8000-000000000001';

const enrolled = {
  specversion: '1.0',
  id: 'e1',
  source: '/vafa/members',
  type: 'loyalty.member.enrolled',
  time: '2026-11-21T10:15:00Z',
  datacontenttype: 'application/json',
  sequence: 1,
  data: { memberId: MEMBER, externalId: null, card: null, enrolledAt: '2026-11-21T10:15:00Z', source: null },
};

const message = (value: string): { topic: string; key: string; value: Buffer } => ({
  topic: 'loyalty.members',
  key: MEMBER,
  value: Buffer.from(value),
});

describe.each(['memory', 'postgres'] as const)('a service with its parts in %s', (adapters) => {
  let running: TestService<{ readonly notesMax: number }>;

  // Before the database, which goes last.
  afterAll(() => running.close());
  const database = withTestDatabase();

  beforeAll(async () => {
    running = await startTestService(notes, { url: database.url, adapters, env: { VAFA_NOTES_MAX: '5' } });
  });

  it('reads its configuration and works on its tables with its own role', async () => {
    expect(running.context.config).toEqual({ notesMax: 5 });
    const answer = await running.call('POST', '/v1/notes', { body: { note: 'first' } });
    expect(answer).toMatchObject({ status: 201, body: { count: 1 } });
    const roles = await running.context.database.query('select current_user as role');
    expect(roles).toEqual([{ role: 'vafa_notes' }]);
  });

  it('hands the messages of its topics to its handlers, and keeps those that are not valid', async () => {
    const { bus, database, deadLetters } = running.context;
    await bus.publish([message('{"specversion":'), message(JSON.stringify(enrolled))]);
    await eventually(async () => {
      expect(await database.query('select note from notes.notes where note = $1', [enrolled.id])).toHaveLength(1);
    });
    expect(await deadLetters.list({ group: 'notes', limit: 10 })).toMatchObject([
      { topic: 'loyalty.members', kind: 'invalid' },
    ]);
    expect(await running.context.metrics.content()).toMatch(/vafa_dead_letters_total\{[^}]*kind="invalid"[^}]*\} 1/);
  });

  it('is ready, and says of what', async () => {
    const answer = await running.call('GET', '/health/ready', { as: null });
    expect(answer).toMatchObject({
      status: 200,
      body: { ready: true, checks: { database: { ok: true }, bus: { ok: true }, 'event-store': { ok: true } } },
    });
  });

  it('describes itself', () => {
    const { paths } = running.service.openapi;
    expect(paths['/v1/notes']?.post).toMatchObject({ 'x-permission': 'purchases:write', security: [{ bearer: [] }] });
    expect(paths['/v1/notes/slow']?.get).toMatchObject({ security: [] });
  });

  it('moves business time on, and never back', async () => {
    const { clock } = running.context;
    const before = clock.now();
    const after = await clock.advance(Temporal.Duration.from({ hours: 48 }));
    expect(before.until(after).total('hours')).toBeGreaterThanOrEqual(48);
    expect(Temporal.Instant.compare(clock.now(), after)).toBeGreaterThanOrEqual(0);
    await expect(clock.set(before)).rejects.toMatchObject({ reason: 'backwards' });
    await expect(clock.advance(Temporal.Duration.from({ hours: -1 }))).rejects.toMatchObject({ reason: 'backwards' });
  });

  it('lets requests under way end when it closes, and refuses new ones', async () => {
    slowEntered = deferred();
    const slow = running.call('GET', '/v1/notes/slow', { as: null });
    await slowEntered.promise;
    const closed = running.service.close();
    await expect(slow).resolves.toMatchObject({ status: 200, body: 'done' });
    await closed;
    await expect(running.call('GET', '/v1/notes/slow')).rejects.toThrow();
  });
});
