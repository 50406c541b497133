import { defineConfig, integer, oneOf, setting, text, type ConfigOf } from '@vafa/service';

/** What only the composition of all services in one process reads. */
export const standaloneConfig = defineConfig({
  databasePort: setting('VAFA_DATABASE_PORT', integer({ min: 0, max: 65_535 }), {
    default: 15_432,
    description: 'port of the embedded PostgreSQL; where it is taken the next free one is used, 0 takes any',
  }),
  analystPassword: setting('VAFA_ANALYST_PASSWORD', text({ maxLength: 255 }), {
    default: null,
    secret: true,
    description:
      'password of the database role analyst; the embedded database makes one up, with VAFA_DATABASE_URL the role cannot log in without it',
  }),
  logTo: setting('VAFA_LOG_TO', oneOf('file', 'stdout'), {
    default: 'file',
    description: 'where the log goes: a file in VAFA_DATA, with warnings on the terminal as well, or standard output',
  }),
});

export type StandaloneSettings = ConfigOf<typeof standaloneConfig>;
