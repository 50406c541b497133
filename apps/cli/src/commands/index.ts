import type { Command } from '../command.js';
import { importMembers } from '../import/import-members.js';
import { importPurchases } from '../import/import-purchases.js';
import { audit } from './audit.js';
import { backup } from './backup.js';
import { clock } from './clock.js';
import { config } from './config.js';
import { discardLetters, listLetters, replayLetters, showLetter } from './dead-letters.js';
import { exportTable } from './export.js';
import { generatePurchases } from './generate-purchases.js';
import { inboxCommands } from './inbox.js';
import { moveLedger } from './move.js';
import { closePeriods, listPeriods } from './periods.js';
import { pointsStatement } from './points-statement.js';
import { migrate } from './migrate.js';
import { points } from './points.js';
import { rebuild } from './rebuild.js';
import { restore } from './restore.js';
import { start } from './start.js';
import { status } from './status.js';
import { token } from './token.js';
import { verify } from './verify.js';

/** Every command, in the order of the help text. */
export const commands: readonly Command[] = [
  start,
  status,
  token,
  config,
  importMembers,
  importPurchases,
  generatePurchases,
  points,
  pointsStatement,
  listPeriods,
  closePeriods,
  exportTable,
  ...inboxCommands,
  verify,
  rebuild,
  listLetters,
  showLetter,
  replayLetters,
  discardLetters,
  migrate,
  backup,
  restore,
  moveLedger,
  clock,
  audit,
];
