export { startStandalone, type Standalone, type StandaloneOptions } from './standalone.js';
export { readStandaloneConfig, type StandaloneConfig } from './standalone-config.js';
export { mergeOpenApi } from './merge-openapi.js';
export { documentationPage, DOCUMENTATION_PATHS } from './documentation.js';
export { readRunFile } from './run-file.js';
export { loadServices } from './services.js';
export { configure, type Startable } from './startable.js';
