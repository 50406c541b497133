import { flag, type Command } from '../command.js';
import { runStandaloneProgram } from '../installation/standalone-program.js';

export const migrate: Command = {
  name: 'migrate',
  summary: 'Brings the tables of every service up to date, for services that run as processes of their own.',
  options: { json: { type: 'boolean', description: 'One line of JSON at the end.' } },
  notes: [
    'Works on VAFA_DATABASE_URL, whose login owns the database and may create roles; "npm start" does the same by itself. One process at a time migrates, others wait; a second run finds nothing to do.',
    'VAFA_ANALYST_PASSWORD gives the role analyst its login.',
  ],
  positionals: { min: 0, max: 0 },
  run: ({ options, surroundings }) =>
    runStandaloneProgram('migrate-main', flag(options, 'json') ? ['--json'] : [], surroundings),
};
