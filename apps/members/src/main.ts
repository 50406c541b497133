import 'reflect-metadata';
import { runService } from '@vafa/service';
import { membersService } from './index.js';

const code = await runService(membersService, process.env);
// Everything is closed, or was given its time; what a library still waits for must not keep the process.
process.exit(code);
