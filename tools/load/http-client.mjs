import { Agent, request } from 'node:http';

/** The connection broke, or no answer came in time: whether it was taken is not known. */
export class NoAnswerError extends Error {
  name = 'NoAnswerError';
}

/** JSON over HTTP with connections kept open. */
export class HttpClient {
  #agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  #token;

  /** @param {{ api: string, token: string }} options `api` is the base address and may change later */
  constructor({ api, token }) {
    this.api = api;
    this.#token = token;
  }

  /**
   * @param {{ method?: string, path: string, body?: unknown, headers?: object, timeoutMs?: number, hangUpAfterMs?: number }} call
   *   `hangUpAfterMs` breaks the connection that long after sending, as a bad network does
   * @returns {Promise<{ status: number, headers: object, body: any }>}
   * @throws {NoAnswerError}
   */
  call({ method = 'POST', path, body, headers = {}, timeoutMs = 30_000, hangUpAfterMs }) {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const sending = request(new URL(path, this.api), {
        method,
        agent: this.#agent,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
          ...headers,
        },
      });
      const fail = (error) => {
        clearTimeout(timer);
        reject(new NoAnswerError(error.message, { cause: error }));
      };
      const cutMs = Math.min(timeoutMs, hangUpAfterMs ?? Infinity);
      const timer = setTimeout(() => sending.destroy(new Error(`cut off after ${cutMs} ms`)), cutMs);
      sending.on('error', fail);
      sending.on('response', (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', fail);
        answer.on('end', () => {
          clearTimeout(timer);
          const body = parse(Buffer.concat(chunks).toString());
          resolve({ status: answer.statusCode, headers: answer.headers, body });
        });
        answer.on('aborted', () => fail(new Error('the answer was cut off')));
      });
      sending.end(payload);
    });
  }

  close() {
    this.#agent.destroy();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
