import { Controller, Get, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { actorOf, Permission } from '@vafa/service';
import type { FastifyRequest } from 'fastify';
import { LedgerWorker, type ReadModelReport } from '../ledger-worker.js';
import { READ_MODEL } from './schemas.js';

/** The read models of the ledger, for those who run the club. */
@ApiTags('operations')
@Controller('v1/read-models/points')
export class ReadModelsController {
  constructor(@Inject(LedgerWorker) private readonly worker: LedgerWorker) {}

  @Get()
  @Permission('operations:read')
  @ApiOperation({ summary: 'How far the read models have followed the ledger, and how far their last rebuild is' })
  @ApiOkResponse({ schema: READ_MODEL })
  report(): Promise<ReadModelReport> {
    return this.worker.report();
  }

  @Post('rebuild')
  @HttpCode(202)
  @Permission('operations:write')
  @ApiOperation({
    summary: 'Builds the read models anew beside the ones in use, then swaps, while purchases go on',
    description: 'Answers at once. While one is under way, asking again changes nothing: `rebuild` says how far it is.',
  })
  @ApiAcceptedResponse({ schema: READ_MODEL })
  async rebuild(@Req() request: FastifyRequest): Promise<ReadModelReport> {
    return this.worker.startRebuild(actorOf(request));
  }
}
