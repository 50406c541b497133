import 'reflect-metadata';
import { runService } from '@vafa/service';
import { pointsService } from './index.js';

process.exitCode = await runService(pointsService, process.env);
