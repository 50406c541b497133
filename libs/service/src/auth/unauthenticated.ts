import { PROBLEMS, ProblemException } from '../http/problems.js';

/** 401, with the challenge that RFC 6750 asks for. */
export const unauthenticated = (detail: string, cause?: unknown): ProblemException =>
  new ProblemException(PROBLEMS.unauthenticated, {
    detail,
    cause,
    headers: { 'www-authenticate': 'Bearer realm="vafa", error="invalid_token"' },
  });
