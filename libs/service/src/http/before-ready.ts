import type { RequestListener } from './http-door.js';
import { PROBLEMS, PROBLEM_TYPE, ProblemException, problemBody } from './problems.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * Answers for a service that is on its way, which may wait a minute for its brokers: that the process lives, that it is not ready since it
 * starts, and 503 to everything else.
 */
export const answerBeforeReady = (): RequestListener => {
  const startedMs = performance.now();
  return (request, response) => {
    const [path] = (request.url ?? '').split('?');
    request.resume();
    if (path === '/health/live') {
      response.writeHead(200, { 'content-type': JSON_TYPE }).end('{"live":true}');
    } else if (path === '/health/ready') {
      const durationMs = Math.round(performance.now() - startedMs);
      response.writeHead(503, { 'content-type': JSON_TYPE, 'cache-control': 'no-store' });
      response.end(JSON.stringify({ ready: false, checks: { start: { ok: false, durationMs } } }));
    } else {
      const problem = new ProblemException(PROBLEMS.unavailable, { detail: 'The service is starting.' });
      response.writeHead(503, { 'content-type': PROBLEM_TYPE, 'retry-after': '1' }).end(problemBody(problem, 'en'));
    }
  };
};
