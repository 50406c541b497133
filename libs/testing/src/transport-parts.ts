import {
  Catch,
  Controller,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  type INestApplication,
  Module,
  type NestInterceptor,
  type PipeTransform,
  type Type,
  UseFilters,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  connectTransport,
  type DeadLetters,
  type Decoded,
  type InboundContext,
  type InboundEvent,
  type Message,
  type MessageBus,
  VafaTransport,
  type VafaTransportOptions,
} from '@vafa/messaging';
import { EMPTY, map, type Observable } from 'rxjs';

/** What the suites of the transport need of an adapter. */
export type TransportHarness = {
  readonly bus: MessageBus;
  readonly deadLetters: DeadLetters;
  close(): Promise<void>;
};

export type TransportContractOptions = {
  /** True where a page may come again although no handler failed, as when its readers change: then the first sight of each event counts. */
  readonly repeats?: boolean;
};

/** What came, none of which was sent twice: as it is, or the first sight of each. */
export const firstsOf =
  ({ repeats = false }: TransportContractOptions) =>
  <T>(values: readonly T[]): readonly T[] =>
    repeats ? [...new Set(values)] : values;

export type Handle = (payload: never, context: InboundContext) => unknown;

export const ATTEMPTS_MAX = 3;
export const TOPIC = 'things';

/** A Nest application with these controllers, listening to the topic. */
export const startListening = async (
  { bus, deadLetters }: TransportHarness,
  controllers: Type[],
  options: Partial<VafaTransportOptions> = {},
): Promise<INestApplication> => {
  const transport = new VafaTransport({
    bus,
    deadLetters,
    group: 'service',
    topics: [TOPIC],
    decode,
    attemptsMax: ATTEMPTS_MAX,
    backoffMs: 10,
    handlerTimeoutMs: 300,
    ...options,
  });
  const app = await NestFactory.create(moduleOf(controllers), new FastifyAdapter(), { logger: false });
  connectTransport(app, transport);
  await app.startAllMicroservices();
  await app.init();
  return app;
};

export const thing = (type: string, key: string, data: number): Message => ({
  topic: TOPIC,
  key,
  value: Buffer.from(JSON.stringify({ id: `${key}-${data}`, source: '/test', type, data })),
});

export const decode = (value: Buffer): Decoded => {
  try {
    const event = JSON.parse(value.toString()) as Extract<Decoded, { ok: true }>['event'];
    if (event.type !== 'unknown') return { ok: true, event };
    return { ok: false, reason: 'unknown-type', detail: 'nobody knows it', errors: [] };
  } catch {
    return { ok: false, reason: 'not-json', detail: 'not JSON', errors: [{ pointer: '/x', detail: 'is wrong' }] };
  }
};

const moduleOf = (controllers: Type[]): Type => {
  @Module({ controllers })
  class ServiceModule {}
  return ServiceModule;
};

export const listener = (type: string, handle: Handle, page = false): Type => {
  @Controller()
  class Listener {
    @EventPattern<string>(type, page ? { page: true } : {})
    on(@Payload() payload: unknown, @Ctx() context: InboundContext): unknown {
      return handle(payload as never, context);
    }
  }
  return Listener;
};

@Injectable()
class NextNumber implements PipeTransform<InboundEvent<number>, number> {
  transform(event: InboundEvent<number>): number {
    return event.data + 1;
  }
}

export const pipedListener = (type: string, handle: (payload: unknown) => void): Type => {
  @Injectable()
  class Afterwards implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
      return next.handle().pipe(map(() => handle('intercepted')));
    }
  }

  @Controller()
  class PipedListener {
    @EventPattern<string>(type)
    @UseInterceptors(Afterwards)
    @UsePipes(NextNumber)
    on(@Payload() payload: unknown): void {
      handle(payload);
    }
  }
  return PipedListener;
};

/** One that always throws, and whose filter says that it is well. */
export const filteredListener = (type: string, handle: (payload: unknown) => void): Type => {
  @Catch()
  class Forgiving implements ExceptionFilter {
    catch(exception: unknown): Observable<never> {
      handle(exception instanceof Error ? exception.message : exception);
      return EMPTY;
    }
  }

  @Controller()
  class FilteredListener {
    @EventPattern<string>(type)
    @UseFilters(Forgiving)
    on(@Payload() { data }: InboundEvent<number>): void {
      throw new Error(`filtered ${data}`);
    }
  }
  return FilteredListener;
};
