import { Refusal, type Command } from '../command.js';

/** Listed here, done by `tools/vafa.mjs`: the whole club stays in front in a process of its own. */
export const start: Command = {
  name: 'start',
  summary:
    'Starts the embedded PostgreSQL and every service in one process and stays in front; the same as "npm start".',
  options: {},
  positionals: { min: 0, max: 0 },
  run: () => Promise.reject(new Refusal('Start it with "npm start".')),
};
