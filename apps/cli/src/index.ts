export { runCli } from './cli.js';
export { commands } from './commands/index.js';
export type { Command, ExitCode, Surroundings } from './command.js';
