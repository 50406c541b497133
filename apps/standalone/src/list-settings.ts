import { listSettings, unknownSettings } from '@vafa/service';
// Loaded for what they declare: the settings of the process, and those of every service in it.
import './services.js';
import './standalone-config.js';

/** What `vafa config` shows: a program of its own, since no other knows every service. One line of JSON on standard output. */
process.stdout.write(
  `${JSON.stringify({ settings: listSettings(process.env), unknown: unknownSettings(process.env) })}\n`,
);
