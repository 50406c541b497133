import { OPEN_MAX, OPEN_PER_KEY_MAX, type DeadLetterSettings } from '@vafa/messaging';
import { boolean, defineConfig, hex, integer, oneOf, setting, text, url, type ConfigOf } from './config.js';

/** The settings every process has, whatever services run in it. */
export const commonConfig = defineConfig({
  environment: setting('VAFA_ENVIRONMENT', oneOf('development', 'production'), {
    default: 'development',
    description: 'production refuses to mint tokens with the embedded key and to move the clock',
  }),
  host: setting('VAFA_HOST', text({ maxLength: 255 }), {
    default: '127.0.0.1',
    description: 'address that the HTTP server listens on',
  }),
  port: setting('VAFA_PORT', integer({ min: 0, max: 65_535 }), {
    default: 3_000,
    description: 'port of the HTTP API; 0 takes any free one',
  }),
  dataFolder: setting('VAFA_DATA', text(), {
    default: '.vafa',
    description: 'folder of the embedded database, its keys and the running state',
  }),
  logLevel: setting('VAFA_LOG_LEVEL', oneOf('debug', 'info', 'warn', 'error'), {
    default: 'info',
    description: 'the least important lines that are logged',
  }),
});

export type CommonConfig = ConfigOf<typeof commonConfig>;

/** What a service that runs as a process of its own needs besides: its database is not embedded. */
export const serviceConfig = defineConfig({
  databaseUrl: setting('VAFA_DATABASE_URL', url('postgresql', 'postgres'), {
    default: null,
    secret: true,
    description: 'the PostgreSQL database; without it npm start runs an embedded one',
  }),
  databasePoolSize: setting('VAFA_DATABASE_POOL_SIZE', integer({ min: 2, max: 200 }), {
    default: 10,
    description: 'connections to PostgreSQL that each service keeps at most',
  }),
  deadLetterKey: setting('VAFA_DEAD_LETTER_KEY', hex(32), {
    default: null,
    secret: true,
    description: 'what dead letters are encrypted with, the same in every process; by default a key kept in VAFA_DATA',
  }),
  deadLettersKeptDays: setting('VAFA_DEAD_LETTERS_KEPT_DAYS', integer({ min: 1, max: 3_650 }), {
    default: 30,
    description: 'days after which dead letters are deleted, settled or not',
  }),
  deadLettersPurgeMinutes: setting('VAFA_DEAD_LETTERS_PURGE_MINUTES', integer({ min: 1, max: 1_440 }), {
    default: 60,
    description: 'minutes between two looks for dead letters that are to be deleted',
  }),
  deadLettersMax: setting('VAFA_DEAD_LETTERS_MAX', integer({ min: 1, max: 10_000_000 }), {
    default: OPEN_MAX,
    description: 'dead letters of a service that wait at most; beyond them its partitions stop',
  }),
  deadLettersPerKeyMax: setting('VAFA_DEAD_LETTERS_PER_KEY_MAX', integer({ min: 1, max: 1_000_000 }), {
    default: OPEN_PER_KEY_MAX,
    description: 'messages of one key that wait behind a failed one at most; beyond them its partition stops',
  }),
  migrate: setting('VAFA_MIGRATE', boolean(), {
    default: false,
    description: 'whether a service on its own brings its tables up to date before it starts',
  }),
});

export type ServiceConfig = ConfigOf<typeof serviceConfig>;

const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;

/** The settings of the dead letters as an installation takes them. */
export const deadLetterSettings = (
  config: Pick<
    ServiceConfig,
    'deadLettersKeptDays' | 'deadLettersPurgeMinutes' | 'deadLettersMax' | 'deadLettersPerKeyMax'
  >,
): Required<DeadLetterSettings> & { readonly purgeIntervalMs: number } => ({
  retentionMs: config.deadLettersKeptDays * DAY_MS,
  purgeIntervalMs: config.deadLettersPurgeMinutes * MINUTE_MS,
  openMax: config.deadLettersMax,
  openPerKeyMax: config.deadLettersPerKeyMax,
});
