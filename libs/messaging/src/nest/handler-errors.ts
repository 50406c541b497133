import { RpcException } from '@nestjs/microservices';
import { isTransient } from '@vafa/persistence';

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
