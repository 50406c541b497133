import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HttpDoor } from './http-door.js';

let door: HttpDoor;
let port: number;
let answer: (() => void) | undefined;

beforeEach(async () => {
  door = new HttpDoor((request, response) => {
    if (request.url !== '/slow') return void response.end('fast');
    answer = () => response.end('slow');
  });
  ({ port } = await door.listen(0, '127.0.0.1'));
});

afterEach(() => door.close(100));

/** What the server says to these bytes before it hangs up. */
const exchange = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let got = '';
    socket.on('data', (chunk) => (got += chunk.toString()));
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });

describe('the HTTP door', () => {
  it('answers what is not HTTP with a problem', async () => {
    expect(await exchange('SSH-2.0-OpenSSH\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"type":"\/problems\/malformed-request"/,
    );
    expect(await exchange(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('says that a port is taken', async () => {
    const other = new HttpDoor(() => undefined);
    await expect(other.listen(port, '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await other.close();
  });

  it('waits for what is under way when it closes, and not for idle connections', async () => {
    const url = `http://127.0.0.1:${port}`;
    expect(await (await fetch(url)).text()).toBe('fast');
    const slow = fetch(`${url}/slow`);
    while (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    const closed = door.close(5_000);
    answer();
    expect(await (await slow).text()).toBe('slow');
    await closed;
    await expect(fetch(url)).rejects.toThrow();
  });

  it('cuts off what does not end in time', async () => {
    const stuck = fetch(`http://127.0.0.1:${port}/slow`);
    const failed = expect(stuck).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await door.close(20);
    await failed;
  });
});
