import { runService } from '@vafa/service';
import { membersService } from './index.js';

process.exitCode = await runService(membersService, process.env);
