// Every rule of the house must fire where it should and be silent where it should not. ESLint runs in a process of its own:
// the test runner's module registry would load TypeScript a second time.
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { readProjects } from './eslint-boundaries.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const IMPORTS = 'no-restricted-imports';
const SYNTAX = 'no-restricted-syntax';

/** Where it would stand, what it says, and the rule that must say no (null: none may). */
const cases = [
  ['apps/points/src/http/x.ts', `import '@vafa/members';`, IMPORTS],
  ['apps/cli/src/x.ts', `import '@vafa/points';`, IMPORTS],
  ['apps/standalone/src/x.ts', `import '@vafa/points';`, null],
  ['apps/points/src/http/x.ts', `import '@vafa/points';`, IMPORTS],
  ['apps/points/src/http/x.ts', `import '../../../members/src/index.js';`, IMPORTS],
  ['apps/points/src/http/x.ts', `import '@vafa/service/src/config.js';`, IMPORTS],
  ['apps/points/src/http/x.ts', `import '@vafa/service';`, null],
  ['apps/points/src/http/x.ts', `import '@vafa/testing';`, IMPORTS],
  ['apps/points/src/http/x.spec.ts', `import '@vafa/testing';`, null],
  ['apps/points/test/x.e2e-spec.ts', `import '@vafa/points'; import '@vafa/testing';`, null],
  ['apps/points/src/http/x.ts', `import { PostgresEventStore } from '@vafa/event-sourcing';`, IMPORTS],
  ['apps/points/src/http/x.ts', `export { accept } from '@vafa/event-sourcing';`, null],
  ['libs/contracts/src/x.ts', `import '@vafa/persistence';`, IMPORTS],
  ['libs/messaging/src/x.ts', `import '@vafa/event-sourcing';`, IMPORTS],
  ['libs/messaging/src/x.ts', `import '@vafa/persistence';`, null],
  ['libs/persistence/src/x.ts', `import '@vafa/service';`, IMPORTS],
  ['libs/service/src/x.ts', `import '@vafa/points';`, IMPORTS],
  ['libs/messaging/src/x.ts', `import './postgres/y.js';`, IMPORTS],
  ['libs/messaging/src/memory/x.ts', `import '../kafka/y.js';`, IMPORTS],
  ['libs/messaging/src/index.ts', `import './postgres/y.js';`, null],
  ['libs/messaging/src/postgres/x.ts', `import './y.js';`, null],
  ['apps/points/src/domain/x.ts', `import 'node:crypto';`, IMPORTS],
  ['apps/points/src/domain/x.ts', `import '@nestjs/common';`, IMPORTS],
  ['apps/points/src/domain/x.ts', `import 'typeorm';`, IMPORTS],
  ['apps/points/src/domain/x.ts', `import '@vafa/service';`, IMPORTS],
  ['apps/points/src/domain/x.ts', `import '../application/y.js';`, IMPORTS],
  ['apps/points/src/domain/deep/x.ts', `import '../../read-models/y.js';`, IMPORTS],
  ['apps/points/src/domain/x.ts', `import '../events/y.js'; import './z.js'; import '@vafa/event-sourcing';`, null],
  ['apps/points/src/domain/deep/x.ts', `import '../y.js'; import '../../events/y.js';`, null],
  ['apps/points/src/domain/x.spec.ts', `import 'fast-check';`, null],
  ['apps/points/src/domain/x.ts', `export const at = new Date();`, SYNTAX],
  ['apps/points/src/domain/x.ts', `export const at = Date.now();`, SYNTAX],
  ['apps/points/src/domain/x.ts', `export const at = Temporal.Now.instant();`, SYNTAX],
  ['apps/points/src/domain/x.ts', `export const luck = Math.random();`, SYNTAX],
  ['apps/points/src/domain/x.ts', `export const home = process.env['HOME'];`, 'no-restricted-globals'],
  ['apps/points/src/http/x.ts', `export const at = Date.now();`, null],
  ['apps/points/src/http/x.ts', `export default 1;`, SYNTAX],
  ['apps/points/src/http/x.ts', `export enum Kind { a }`, SYNTAX],
  ['apps/points/src/http/x.ts', `export const x: any = 1;`, '@typescript-eslint/no-explicit-any'],
  ['apps/points/src/http/x.ts', `Promise.resolve(1);`, '@typescript-eslint/no-floating-promises'],
  ['apps/points/src/http/x.ts', `[1].forEach(async () => {});`, '@typescript-eslint/no-misused-promises'],
  [
    'apps/points/src/http/x.ts',
    `export const f = (x: 'a' | 'b'): number => { switch (x) { case 'a': return 1; } return 2; };`,
    '@typescript-eslint/switch-exhaustiveness-check',
  ],
  ['apps/points/src/http/x.ts', `// TODO later`, 'no-warning-comments'],
  ['apps/points/src/http/x.ts', `/* eslint-disable */ export const x: any = 1;`, '@typescript-eslint/no-explicit-any'],
  ['apps/points/src/http/x.ts', `console.log(1);`, 'no-console'],
  ['apps/points/src/http/x.ts', `export const x = (y: unknown): boolean => y == 1;`, 'eqeqeq'],
  [
    'apps/points/src/http/x.ts',
    `export const f = (): void => {\n${'  void 0;\n'.repeat(71)}};`,
    'max-lines-per-function',
  ],
];

// Rules with types need a program that knows the file: the cases stand in files of no project, and get one by default.
const script = `
  import { existsSync } from 'node:fs';
  import { ESLint } from 'eslint';
  const cases = ${JSON.stringify(cases)};
  const files = [...new Set(cases.map(([file]) => file))].filter((file) => !existsSync(file));
  const projectService = { allowDefaultProject: files, defaultProject: 'tsconfig.json',
    maximumDefaultProjectFileMatchCount_THIS_WILL_SLOW_DOWN_LINTING: files.length };
  const eslint = new ESLint({ overrideConfig: {
    files: ['**/*.ts'], languageOptions: { parserOptions: { projectService } } } });
  const found = [];
  for (const [file, code] of cases) {
    const [result] = await eslint.lintText(code, { filePath: file });
    found.push(result.messages.map(({ ruleId, message }) => ruleId ?? message));
  }
  console.log(JSON.stringify(found));
`;

describe('the rules of the house', () => {
  let found = [];

  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', script],
      { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } },
    );
    found = JSON.parse(stdout);
  }, 120_000);

  it.each(cases.map(([file, code, rule], index) => [index, file, code.split('\n')[0], rule ?? 'nothing']))(
    '%i: in %s, `%s` meets %s',
    (index) => {
      const [, , rule] = cases[index];
      if (rule === null) expect(found[index]).toEqual([]);
      else expect(found[index]).toContain(rule);
    },
  );

  it('knows a place for each project', () => {
    for (const { path, type, name, layer } of readProjects()) {
      expect([path, type]).toEqual([path, path.startsWith('libs/') ? 'lib' : 'app']);
      expect(path.endsWith(`/${name}`)).toBe(true);
      expect([path, Number.isInteger(layer)]).toEqual([path, type === 'lib']);
    }
  });
});
