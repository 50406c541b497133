import { EventPattern } from '@nestjs/microservices';

/**
 * The same as `@EventPattern(type, { page: true })`: the method gets an array of events of this type, each key in its order. When it resolves, all of
 * them are done; when it throws, they come again in smaller pieces, so that it must know a repeat.
 */
export const EventPagePattern = (type: string): MethodDecorator => EventPattern<string>(type, { page: true });
