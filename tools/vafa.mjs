#!/usr/bin/env node
// What `npm start`, `npm test` and `npm run vafa` call. It needs nothing installed, and this file alone is written so
// that old versions of Node can read it and say in a sentence what is missing.
//
//   node tools/vafa.mjs start …     the whole club in one process
//   node tools/vafa.mjs --test …    the tests
//   node tools/vafa.mjs --run FILE  a script of this repository
//   node tools/vafa.mjs <command>   any command of vafa
const NODE_MIN = 20;

if (Number(process.versions.node.split('.')[0]) < NODE_MIN) {
  console.error(
    'Vafa needs Node.js ' +
      NODE_MIN +
      ' or later, and this is ' +
      process.versions.node +
      ': install a newer one (https://nodejs.org), then run the same command again.',
  );
  process.exitCode = 1;
} else {
  import('./bootstrap/main.mjs').then(function (bootstrap) {
    return bootstrap.main(process.argv.slice(2));
  });
}
