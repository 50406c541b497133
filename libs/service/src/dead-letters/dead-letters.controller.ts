import { isUtf8 } from 'node:buffer';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import {
  ApiConflictResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { isUuid, parseInstant } from '@vafa/contracts';
import { LetterNotReplayable, type DeadLetter, type LetterFilter, type LetterPlace } from '@vafa/messaging';
import type { Actor } from '../audit/audit.js';
import { CurrentActor, Permission } from '../auth/access.js';
import { decodeCursor, encodeCursor } from '../http/cursor.js';
import { defineProblems, PROBLEMS, ProblemException } from '../http/problems.js';
import { DeadLetterDesk } from './dead-letter-desk.js';
import {
  DiscardBody,
  DiscardChoiceBody,
  LetterBody,
  LetterPageBody,
  LettersDoneBody,
  OpenedLetterBody,
  ReplayChoiceBody,
  type LetterChoiceBody,
  LetterQuery,
} from './letter-bodies.js';

const DEAD_LETTER_PROBLEMS = defineProblems({
  'unknown-dead-letter': {
    status: 404,
    title: { en: 'There is no such dead letter', fa: 'چنین پیام ناکام نیست', ar: 'لا توجد رسالة متعذّرة كهذه' },
  },
  'dead-letter-not-replayable': {
    status: 409,
    title: {
      en: 'This dead letter can only be discarded',
      fa: 'این پیام ناکام را تنها می‌توان کنار گذاشت',
      ar: 'لا يمكن سوى استبعاد هذه الرسالة المتعذّرة',
    },
  },
});

const ID = { name: 'id', description: 'The letter.', schema: { type: 'string', format: 'uuid' } } as const;
const SEVERAL = 'Up to 1,000 letters a call; `more` says that there may be further ones.';

/** Messages that could not be taken, of every service. One service of the installation serves them for all. */
@ApiTags('dead letters')
@Controller('v1/dead-letters')
export class DeadLettersController {
  constructor(@Inject(DeadLetterDesk) private readonly desk: DeadLetterDesk) {}

  @Get()
  @Permission('dead-letters:read')
  @ApiOperation({
    summary: 'Messages that could not be taken, the oldest first',
    description: 'Kept for 30 days unless set otherwise.',
  })
  @ApiOkResponse({ type: LetterPageBody })
  async listDeadLetters(@Query() { after, limit, status, ...choice }: LetterQuery): Promise<LetterPageBody> {
    const place = after === undefined ? undefined : decodeCursor(after, placeOf);
    const found = await this.desk.list({ ...filterOf(choice), status, after: place, limit: limit + 1 });
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const next = found.length > limit && last ? encodeCursor([last.at, last.id]) : null;
    return { items: items.map(letterBody), next };
  }

  @Get(':id')
  @Permission('dead-letters:read')
  @ApiOperation({ summary: 'A dead letter with its message', description: 'It may hold anything that somebody sent.' })
  @ApiParam(ID)
  @ApiOkResponse({ type: OpenedLetterBody })
  @ApiNotFoundResponse({ description: 'There is no such letter, or not any more.' })
  async readDeadLetter(@Param('id') id: string): Promise<OpenedLetterBody> {
    const letter = await this.letter(id);
    const { headers, value } = letter;
    const text = textOf(value);
    return {
      ...letterBody(letter),
      headers,
      bytes: value.length,
      text,
      hex: text === null ? value.toString('hex') : null,
    };
  }

  @Post('replay')
  @HttpCode(200)
  @Permission('dead-letters:settle')
  @ApiOperation({ summary: 'Sends those again that wait and are all of this', description: SEVERAL })
  @ApiOkResponse({ type: LettersDoneBody })
  @ApiConflictResponse({ description: 'One of them can only be discarded; those before it were sent.' })
  replayDeadLetters(@Body() { letters }: ReplayChoiceBody, @CurrentActor() actor: Actor): Promise<LettersDoneBody> {
    return replayable(this.desk.replay(chosen(letters), actor));
  }

  @Post('discard')
  @HttpCode(200)
  @Permission('dead-letters:settle')
  @ApiOperation({ summary: 'Gives those up that wait and are all of this', description: SEVERAL })
  @ApiOkResponse({ type: LettersDoneBody })
  discardDeadLetters(
    @Body() { letters, reason }: DiscardChoiceBody,
    @CurrentActor() actor: Actor,
  ): Promise<LettersDoneBody> {
    return this.desk.discard(chosen(letters), reason, actor);
  }

  @Post(':id/replay')
  @HttpCode(200)
  @Permission('dead-letters:settle')
  @ApiOperation({
    summary: 'Sends a dead letter again',
    description:
      'To the service that could not take it only, with everything that waits behind it, in order. Doing so twice is harmless; a letter that is settled is not sent.',
  })
  @ApiParam(ID)
  @ApiOkResponse({ type: LettersDoneBody })
  @ApiNotFoundResponse({ description: 'There is no such letter, or not any more.' })
  @ApiConflictResponse({ description: 'It is larger than a message may be.' })
  async replayDeadLetter(@Param('id') id: string, @CurrentActor() actor: Actor): Promise<LettersDoneBody> {
    await this.letter(id);
    return replayable(this.desk.replay({ id }, actor));
  }

  @Post(':id/discard')
  @HttpCode(200)
  @Permission('dead-letters:settle')
  @ApiOperation({ summary: 'Gives a dead letter up', description: 'What waits behind it follows, in order.' })
  @ApiParam(ID)
  @ApiOkResponse({ type: LettersDoneBody })
  @ApiNotFoundResponse({ description: 'There is no such letter, or not any more.' })
  async discardDeadLetter(
    @Param('id') id: string,
    @Body() { reason }: DiscardBody,
    @CurrentActor() actor: Actor,
  ): Promise<LettersDoneBody> {
    await this.letter(id);
    return this.desk.discard({ id }, reason, actor);
  }

  private async letter(
    id: string,
  ): ReturnType<DeadLetterDesk['show']> extends Promise<infer L> ? Promise<NonNullable<L>> : never {
    const letter = isUuid(id) ? await this.desk.show(id) : undefined;
    if (letter === undefined) throw new ProblemException(DEAD_LETTER_PROBLEMS['unknown-dead-letter']);
    return letter;
  }
}

const replayable = async (replaying: Promise<LettersDoneBody>): Promise<LettersDoneBody> => {
  try {
    return await replaying;
  } catch (cause) {
    if (!(cause instanceof LetterNotReplayable)) throw cause;
    const { message: detail } = cause;
    throw new ProblemException(DEAD_LETTER_PROBLEMS['dead-letter-not-replayable'], { detail, cause });
  }
};

type Choice = Omit<LetterFilter, 'limit' | 'after' | 'status' | 'key'>;

const filterOf = ({ service, topic, kind, reason, since }: LetterChoiceBody): Choice => ({
  group: service,
  topic,
  kind,
  reason,
  since: since === undefined ? undefined : parseInstant(since)?.toString(),
});

/** All letters of all services at once are not to be settled by an empty choice. */
const chosen = (letters: LetterChoiceBody): Choice => {
  const choice = filterOf(letters);
  if (Object.values(choice).some((value) => value !== undefined)) return choice;
  throw new ProblemException(PROBLEMS['validation-failed'], {
    errors: [{ pointer: '/letters', detail: 'must have one of topic, service, kind, reason, since' }],
  });
};

const letterBody = ({
  id,
  group,
  topic,
  partition,
  offset,
  key,
  kind,
  status,
  reason,
  note,
  at,
  settledAt,
}: DeadLetter): LetterBody => ({
  id,
  service: group,
  topic,
  partition,
  offset,
  key,
  kind,
  status,
  reason,
  note,
  at,
  settledAt,
});

/** Text for people: control characters other than white space are shown as bytes. */
const textOf = (value: Buffer): string | null => {
  const text = isUtf8(value) ? value.toString('utf8') : null;
  return text === null || /[^\P{Cc}\t\n\r]/u.test(text) ? null : text;
};

const placeOf = (place: unknown): LetterPlace | undefined => {
  if (!Array.isArray(place) || place.length !== 2) return undefined;
  const [at, id] = place as unknown[];
  if (typeof at !== 'string' || parseInstant(at) === undefined || typeof id !== 'string' || !isUuid(id))
    return undefined;
  return { at, id };
};
