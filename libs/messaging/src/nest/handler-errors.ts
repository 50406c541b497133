import {
  type ArgumentsHost,
  Catch,
  type INestApplication,
  type INestMicroservice,
  type RpcExceptionFilter,
} from '@nestjs/common';
import { NestMicroservice, RpcException } from '@nestjs/microservices';
import { isTransient } from '@vafa/persistence';
import { type Observable, throwError } from 'rxjs';
import type { VafaTransport } from './vafa-transport.js';

/**
 * Hands a handler's exception to the transport as it is. Nest's own filter puts "Internal server error" in its place, after which nobody
 * could tell a database that is away from a mistake.
 */
@Catch()
export class HandlerErrorFilter implements RpcExceptionFilter {
  catch(exception: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => exception);
  }
}

/**
 * Connects the transport to an application; `app.startAllMicroservices()` starts it. Further global pipes, guards, interceptors and filters for
 * its handlers are set in `configure`; a filter there comes before ours.
 */
export const connectTransport = (
  app: INestApplication,
  transport: VafaTransport,
  configure: (microservice: INestMicroservice) => void = () => undefined,
): INestMicroservice => {
  // Nest binds filters when it registers the handlers, which by default is before anybody could set one.
  const microservice = app.connectMicroservice({ strategy: transport }, { deferInitialization: true });
  if (!(microservice instanceof NestMicroservice))
    throw new Error('two versions of @nestjs/microservices are installed');
  microservice.useGlobalFilters(new HandlerErrorFilter());
  configure(microservice);
  microservice.registerListeners();
  microservice.setIsInitialized(true);
  microservice.setIsInitHookCalled(true);
  transport.markConnected();
  return microservice;
};

const CAUSES_MAX = 10;

/** Whether an error, or what caused it, is one of the connection or the moment, however deep it is wrapped. */
export const isTransientFailure = (error: unknown, depth = 0): boolean => {
  if (depth > CAUSES_MAX) return false;
  if (isTransient(error)) return true;
  if (error instanceof RpcException) {
    const inner = error.getError();
    if (typeof inner === 'object' && isTransientFailure(inner, depth + 1)) return true;
  }
  if (error instanceof AggregateError) return error.errors.some((inner) => isTransientFailure(inner, depth + 1));
  return error instanceof Error && error.cause !== undefined && isTransientFailure(error.cause, depth + 1);
};

/** An error in a few words. */
export const inWords = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(inWords).join('; ');
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return String(error);
};
