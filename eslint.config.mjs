import tseslint from 'typescript-eslint';
import { boundaries } from './tools/eslint-boundaries.mjs';

const SPECS = [
  '**/*.spec.ts',
  '**/*.int-spec.ts',
  '**/*.e2e-spec.ts',
  '**/*.kafka-spec.ts',
  '**/*.eventstoredb-spec.ts',
  '**/test/**/*.ts',
];
const FUNCTION_LINES_MAX = 70;

// Shapes that the language has and this house does not use.
const SHAPES = [
  { selector: 'ExportDefaultDeclaration', message: 'Exports are named.' },
  { selector: 'TSEnumDeclaration', message: 'A union of strings, rather than an enum.' },
  { selector: 'TSModuleDeclaration[kind="namespace"]', message: 'A module, rather than a namespace.' },
];

// What would make the same input give another result.
const IMPURE = [
  { selector: 'NewExpression[callee.name="Date"]', message: 'The domain is told the time, and it is Temporal.' },
  { selector: 'CallExpression[callee.name="Date"]', message: 'The domain is told the time, and it is Temporal.' },
  {
    selector: 'MemberExpression[object.name="Date"]',
    message: 'The domain is told the time, and it is Temporal.',
  },
  {
    selector: 'MemberExpression[object.name="Temporal"][property.name="Now"]',
    message: 'The domain is told the time.',
  },
  {
    selector: 'MemberExpression[object.name="Math"][property.name="random"]',
    message: 'The domain is told its ids; nothing in it is random.',
  },
];

const IMPURE_GLOBALS = [
  'process',
  'performance',
  'crypto',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'console',
];

const core = {
  eqeqeq: 'error',
  'prefer-const': 'error',
  'no-var': 'error',
  'no-console': 'error',
  'no-debugger': 'error',
  'no-constant-binary-expression': 'error',
  'no-unsafe-finally': 'error',
  'no-self-compare': 'error',
  'no-template-curly-in-string': 'error',
  'no-unreachable-loop': 'error',
  'no-useless-rename': 'error',
  'object-shorthand': 'error',
  'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'anywhere' }],
  'max-lines-per-function': ['error', { max: FUNCTION_LINES_MAX, skipBlankLines: true, skipComments: true }],
};

export default tseslint.config(
  { ignores: ['**/node_modules/', '**/dist/', '**/.*/', '**/generated/'] },
  // A rule that does not fit is changed here, for everybody, and not switched off on a line.
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  { files: ['**/*.mjs', '**/*.js'], rules: { ...core, 'no-console': 'off' } },
  {
    name: 'typescript',
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...core,
      'no-restricted-syntax': ['error', ...SHAPES],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
      '@typescript-eslint/unbound-method': ['error', { ignoreStatic: true }],
      // An adapter is asynchronous where its port is, whether it has something to wait for or not.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    name: 'domain',
    files: ['apps/*/src/domain/**/*.ts'],
    ignores: SPECS,
    rules: {
      'no-restricted-syntax': ['error', ...SHAPES, ...IMPURE],
      'no-restricted-globals': [
        'error',
        ...IMPURE_GLOBALS.map((name) => ({ name, message: 'The domain is pure: it asks nothing of the machine.' })),
      ],
    },
  },
  {
    name: 'tests',
    files: SPECS,
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      '@typescript-eslint/unbound-method': 'off',
      // Bodies of answers are read as they come.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    name: 'programs',
    // What these have to say to a person or a pipe is their work, not a log.
    files: ['apps/standalone/src/**/*.ts', 'apps/cli/src/**/*.ts', 'bench/**/*.ts', 'tools/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    name: 'declarations',
    // They say how somebody else's module is, default export and all.
    files: ['**/*.d.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    name: 'contract suites',
    // What all adapters of a port are held to is one long list of tests.
    files: ['libs/testing/src/**/*.ts'],
    rules: { 'max-lines-per-function': 'off' },
  },
  ...boundaries(),
);
