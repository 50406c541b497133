// Who may import whom, made from the tags in each project.json:
//
//   type:app, type:lib   apps are imported by nobody but the app tagged `composes:apps`
//   layer:<n>            a lib imports libs of a lower layer only; the highest layer is for tests
//   scope:<name>         the package's name is @vafa/<name>
//
// Each block of the result has the whole list of what its files may not import, since a later block replaces an earlier one.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const SPECS = [
  '**/*.spec.ts',
  '**/*.int-spec.ts',
  '**/*.e2e-spec.ts',
  '**/*.kafka-spec.ts',
  '**/*.eventstoredb-spec.ts',
];
const ADAPTERS = ['postgres', 'kafka', 'eventstoredb'];

/** Every project of the workspace with what its tags say. */
export const readProjects = () =>
  ['libs', 'apps'].flatMap((group) =>
    readdirSync(join(root, group))
      .map((name) => `${group}/${name}`)
      .filter((path) => existsSync(join(root, path, 'project.json')))
      .map((path) => {
        const { tags } = JSON.parse(readFileSync(join(root, path, 'project.json'), 'utf8'));
        const tag = (kind) => tags.find((one) => one.startsWith(`${kind}:`))?.slice(kind.length + 1);
        const layer = tag('layer') === undefined ? Infinity : Number(tag('layer'));
        return { path, name: tag('scope'), type: tag('type'), layer, composes: tag('composes') === 'apps' };
      }),
  );

const isTesting = (project) => project.name === 'testing';

const notAllowed = (project, projects, forSpecs) =>
  projects.filter((other) => {
    if (other === project) return true;
    if (isTesting(other)) return !forSpecs;
    if (other.type === 'app') return !project.composes;
    return other.layer >= project.layer;
  });

const outside = (project, projects, forSpecs) => [
  ...notAllowed(project, projects, forSpecs).map((other) => ({
    regex: `^@vafa/${other.name}$`,
    message: reason(project, other),
  })),
  // The parts of packages that are asked for by themselves: they must load without the rest, and fast.
  {
    regex: '^@vafa/(?!(persistence/embedded|service/(commands|json-fault))$)[^/]+/',
    message: 'A package is imported by its name alone.',
  },
  { regex: '(^|/)(libs|apps)/[^/]+/(src|dist)/', message: 'Another project is imported by its package name.' },
  { regex: '^(\\.\\./)+(libs|apps|[a-z-]+/(src|dist))/', message: 'Another project is imported by its package name.' },
];

const reason = (project, other) => {
  if (other === project) return 'Within a package imports are relative.';
  if (isTesting(other)) return 'Helpers of tests are imported by tests only.';
  if (other.type === 'app') return 'Apps are imported by nobody but the app that composes them.';
  return `${project.name} stands no higher than ${other.name} and may not import it.`;
};

const adapters = {
  regex: `(^|/)(${ADAPTERS.join('|')})/`,
  message: 'An adapter is chosen where the parts are put together, and known nowhere else.',
};

// An app takes its store and its bus as they are given.
const adapterNames = {
  regex: '^@vafa/(event-sourcing|messaging)$',
  importNamePattern: '^(Postgres|Memory|Kafka|EventStoreDb)',
  message: 'An app does not choose its adapters.',
};

const DOMAIN_PACKAGES = ['event-sourcing', 'contracts'];

const domain = [
  {
    regex: `^(?!\\.{1,2}/)(?!@vafa/(${DOMAIN_PACKAGES.join('|')})$)`,
    message: 'The domain is plain TypeScript: it imports nothing of the outside.',
  },
];
const domainTop = { regex: '^\\.\\./(?!events/)', message: 'The domain imports itself and the types of its events.' };
const domainDeep = {
  regex: '^(\\.\\./){2,}(?!events/)',
  message: 'The domain imports itself and the types of its events.',
};

const block = (name, files, patterns, ignores = []) => ({
  name: `boundaries/${name}`,
  files,
  ...(ignores.length > 0 && { ignores }),
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});

const blocksOf = (project, projects) => {
  const { path, type, composes } = project;
  const own = outside(project, projects, isTesting(project));
  const isPlainApp = type === 'app' && !composes;
  const specs = [...SPECS.map((spec) => `${path}/${spec}`), `${path}/test/**/*.ts`];
  const blocks = [
    block(project.name, [`${path}/**/*.ts`], [...own, adapters, ...(isPlainApp ? [adapterNames] : [])]),
    block(
      `${project.name}/specs`,
      specs,
      outside(project, projects, true).filter(({ regex }) => regex !== `^@vafa/${project.name}$`),
    ),
  ];
  if (type === 'lib') {
    const inside = [`${path}/src/index.ts`, ...ADAPTERS.map((adapter) => `${path}/src/${adapter}/**/*.ts`)];
    blocks.push(block(`${project.name}/adapters`, inside, own, specs));
  } else {
    blocks.push(block(`${project.name}/domain`, [`${path}/src/domain/*.ts`], [...domain, domainTop], specs));
    blocks.push(block(`${project.name}/domain-deep`, [`${path}/src/domain/*/**/*.ts`], [...domain, domainDeep], specs));
  }
  return blocks;
};

/** The blocks of ESLint's configuration that keep the projects and the folders apart. */
export const boundaries = (projects = readProjects()) => projects.flatMap((project) => blocksOf(project, projects));
