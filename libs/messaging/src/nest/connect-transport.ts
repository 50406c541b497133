import {
  type ArgumentsHost,
  Catch,
  type INestApplication,
  type INestMicroservice,
  type RpcExceptionFilter,
} from '@nestjs/common';
import { NestMicroservice } from '@nestjs/microservices';
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
